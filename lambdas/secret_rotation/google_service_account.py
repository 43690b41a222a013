"""Google's service account: a new key is made by the IAM API with the current one.

The service account must belong to this gateway in this environment alone: keys that appear while a
rotation is under way, and that no version of the secret carries, are taken for what a broken rotation
left, and deleted.
https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from lambdas.secret_rotation.document import Document, parse, text_in
from lambdas.secret_rotation.google_token import access_token
from lambdas.secret_rotation.http_call import Reply, Request, Send, bearer, refusal
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.settings import GoogleServiceAccount
from lambdas.secret_rotation.strategy import ProviderKeys, Strategy

_WHAT: Final = "Google's IAM API"
_NEW_KEY: Final = {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", "keyAlgorithm": "KEY_ALG_RSA_2048"}


class GoogleKeys:
    """The keys of the service account that the current document names."""

    def __init__(self, kind: GoogleServiceAccount, send: Send, now_s: Callable[[], float]) -> None:
        self.grace_s = kind.grace_s
        self._base_url = kind.iam_base_url
        self._send = send
        self._now_s = now_s
        self._tokens: dict[str, str] = {}

    def account(self, current: Document) -> str:
        """See `ProviderKeys.account`: the service account's address."""
        if not current:
            raise RotationError(
                "the secret is empty: put the service account's first key, as Google issues it, with "
                "`aws secretsmanager put-secret-value --secret-id <arn> --secret-string file://key.json`"
            )
        return text_in(current, "client_email", "the current value")

    def ids(self, current: Document) -> frozenset[str]:
        """See `ProviderKeys.ids`: those that people or this function made, not Google's own."""
        reply = self._ask("GET", current, "?keyTypes=USER_MANAGED")
        if reply.status != http.client.OK:
            raise refusal(_WHAT, reply)
        keys = reply.document(_WHAT).get("keys", [])
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise RotationError(f"{_WHAT} listed `keys` that are no objects")
        return frozenset(text_in(key, "name", f"a key of {_WHAT}").rpartition("/")[2] for key in keys)

    def make(self, current: Document, version_id: str) -> Document:  # noqa: ARG002
        """See `ProviderKeys.make`."""
        reply = self._ask("POST", current, "", json.dumps(_NEW_KEY).encode())
        if reply.status != http.client.OK:
            raise refusal(_WHAT, reply)
        data = text_in(reply.document(_WHAT), "privateKeyData", f"the answer of {_WHAT}")
        try:
            text = base64.b64decode(data, validate=True).decode()
        except ValueError:
            raise RotationError(f"{_WHAT} made a key whose `privateKeyData` is no base64") from None
        return parse(text, f"the key file of {_WHAT}")

    def id_in(self, document: Document, current: Document) -> str | None:
        """See `ProviderKeys.id_in`."""
        key_id = document.get("private_key_id")
        same_account = document.get("client_email") == current.get("client_email")
        return key_id if same_account and isinstance(key_id, str) and key_id else None

    def end(self, current: Document, key_id: str) -> None:
        """See `ProviderKeys.end`."""
        reply = self._ask("DELETE", current, f"/{quote(key_id, safe='')}")
        if reply.status not in (http.client.OK, http.client.NOT_FOUND):
            raise refusal(_WHAT, reply)

    def _ask(self, method: str, current: Document, path: str, body: bytes | None = None) -> Reply:
        account = self.account(current)
        headers = dict(bearer(self._token(current)))
        if body is not None:
            headers["content-type"] = "application/json"
        url = f"{self._base_url}/v1/projects/-/serviceAccounts/{quote(account, safe='@')}/keys{path}"
        return self._send(Request(method=method, url=url, headers=headers, body=body))

    def _token(self, current: Document) -> str:
        """One exchange a key and run: a token lives longer than a function."""
        key_id = text_in(current, "private_key_id", "the current value")
        if key_id not in self._tokens:
            self._tokens[key_id] = access_token(
                current, "the current key", send=self._send, now_s=self._now_s()
            )
        return self._tokens[key_id]


class GoogleServiceAccountStrategy(Strategy):
    """A service-account key file, as Google issues it."""

    def __init__(self, keys: ProviderKeys, send: Send, now_s: Callable[[], float]) -> None:
        self.provider_keys = keys
        self._keys = keys
        self._send = send
        self._now_s = now_s

    def new_document(self, current: Document, version_id: str) -> Document:
        """See `Strategy.new_document`."""
        return self._keys.make(current, version_id)

    def test(self, pending: Document, current: Document, patience: Patience) -> None:
        """See `Strategy.test`. Google may take a minute or more to let a new key in."""
        if text_in(pending, "private_key_id", "the pending value") == current.get("private_key_id"):
            raise RotationError("the pending key is the current one; put a new one")
        patience.insist(lambda: self._exchange(pending))

    def _exchange(self, pending: Document) -> None:
        access_token(pending, "the pending key", send=self._send, now_s=self._now_s())
