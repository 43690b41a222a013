"""An API key that the endpoint's administration makes, one service account a key.

The wire format is that of OpenAI's administration API for a project's service accounts; other
OpenAI-compatible endpoints offer it as well.
https://platform.openai.com/docs/api-reference/project-service-accounts
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from lambdas.secret_rotation.api_key_test import try_api_key
from lambdas.secret_rotation.document import Document, text_in
from lambdas.secret_rotation.http_call import Reply, Request, Send, bearer, refusal
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.scope import Scope
from lambdas.secret_rotation.settings import ApiKeyByAdministration
from lambdas.secret_rotation.strategy import ProviderKeys, Strategy

_WHAT = "the key administration"
_PAGE_SIZE = 100
_MOST_PAGES = 20


class AdministeredKeys:
    """The service accounts that bear this secret's name; all others are somebody else's."""

    def __init__(
        self, kind: ApiKeyByAdministration, scope: Scope, administrator: Callable[[], Document], send: Send
    ) -> None:
        self.grace_s = kind.grace_s
        self._url = f"{kind.administration_url}/service_accounts"
        self._prefix = f"ai-orchestration-{scope.environment}-{scope.region}-{scope.provider}-"
        self._scope = scope
        self._administrator = administrator
        self._send = send

    def account(self, current: Document) -> str:  # noqa: ARG002
        """See `ProviderKeys.account`: the project that the address names."""
        return self._url

    def ids(self, current: Document) -> frozenset[str]:  # noqa: ARG002
        """See `ProviderKeys.ids`."""
        return frozenset(self._own_ids())

    def make(self, current: Document, version_id: str) -> Document:  # noqa: ARG002
        """See `ProviderKeys.make`."""
        body = json.dumps({"name": f"{self._prefix}{version_id}"}).encode()
        reply = self._ask("POST", "", body)
        if reply.status not in (http.client.OK, http.client.CREATED):
            raise refusal(_WHAT, reply)
        account = reply.document(_WHAT)
        key = account.get("api_key")
        if not isinstance(key, Mapping):
            raise RotationError(f"{_WHAT} made a service account without `api_key`")
        return {
            "api_key": text_in(key, "value", f"`api_key` of {_WHAT}"),
            "key_id": text_in(account, "id", f"the answer of {_WHAT}"),
        }

    def id_in(self, document: Document, current: Document) -> str | None:  # noqa: ARG002
        """See `ProviderKeys.id_in`."""
        key_id = document.get("key_id")
        return key_id if isinstance(key_id, str) and key_id else None

    def end(self, current: Document, key_id: str) -> None:
        """See `ProviderKeys.end`. A service account that does not bear the secret's name is not touched."""
        if key_id not in self.ids(current):
            return
        reply = self._ask("DELETE", f"/{quote(key_id, safe='')}")
        if reply.status not in (http.client.OK, http.client.NO_CONTENT, http.client.NOT_FOUND):
            raise refusal(_WHAT, reply)

    def _own_ids(self) -> Iterator[str]:
        query = f"?limit={_PAGE_SIZE}"
        for _page in range(_MOST_PAGES):
            reply = self._ask("GET", query)
            if reply.status != http.client.OK:
                raise refusal(_WHAT, reply)
            page = reply.document(_WHAT)
            accounts = page.get("data")
            if not isinstance(accounts, list):
                raise RotationError(f"{_WHAT} listed no `data`")
            for account in accounts:
                if str(account.get("name", "")).startswith(self._prefix):
                    yield text_in(account, "id", f"a service account of {_WHAT}")
            last_id = page.get("last_id")
            if not page.get("has_more") or not isinstance(last_id, str):
                return
            query = f"?limit={_PAGE_SIZE}&after={quote(last_id, safe='')}"
        raise RotationError(
            f"{_WHAT} lists more than {_MOST_PAGES * _PAGE_SIZE} service accounts; delete some"
        )

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        document = self._administrator()
        self._scope.refuse_foreign(document, "the administrator's secret")
        if not document:
            raise RotationError(
                'the administrator\'s key is not set; put {"admin_key": "<key>"} into its secret'
            )
        headers = dict(bearer(text_in(document, "admin_key", "the administrator's secret")))
        if body is not None:
            headers["content-type"] = "application/json"
        return self._send(Request(method=method, url=f"{self._url}{path}", headers=headers, body=body))


class ApiKeyByAdministrationStrategy(Strategy):
    """`{"api_key": …, "key_id": …}`; the first as well, for the administrator's key is another."""

    def __init__(self, kind: ApiKeyByAdministration, keys: ProviderKeys, send: Send) -> None:
        self.provider_keys = keys
        self._keys = keys
        self._test_url = kind.test_url
        self._send = send

    def new_document(self, current: Document, version_id: str) -> Document:
        """See `Strategy.new_document`."""
        return self._keys.make(current, version_id)

    def test(self, pending: Document, current: Document, patience: Patience) -> None:
        """See `Strategy.test`."""
        key = text_in(pending, "api_key", "the pending value")
        bearer(key)
        if key == current.get("api_key"):
            raise RotationError("the pending key is the current one; put a new one")
        patience.insist(lambda: try_api_key(self._send, self._test_url, key))
