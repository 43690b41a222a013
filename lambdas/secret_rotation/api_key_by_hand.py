"""An API key that a person makes at the provider and puts under AWSPENDING."""

from __future__ import annotations

from lambdas.secret_rotation.api_key_test import try_api_key
from lambdas.secret_rotation.document import Document, text_in
from lambdas.secret_rotation.http_call import Send, bearer
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.settings import ApiKeyByHand
from lambdas.secret_rotation.strategy import Strategy


class ApiKeyByHandStrategy(Strategy):
    """`{"api_key": …}`, or for an administrator's key `{"admin_key": …}`. The person ends the old key."""

    def __init__(self, kind: ApiKeyByHand, send: Send) -> None:
        self._kind = kind
        self._send = send

    def new_document(self, current: Document, version_id: str) -> Document:  # noqa: ARG002
        """See `Strategy.new_document`: never."""
        raise RotationError(
            "only a person can make this key: make one at the provider and put it with `aws secretsmanager "
            "put-secret-value --secret-id <arn> --version-stages AWSPENDING --secret-string "
            f'file://key.json`, where the file holds {{"{self._kind.key_field}": "<key>"}}; the next sweep '
            "tests and promotes it"
        )

    def test(self, pending: Document, current: Document, patience: Patience) -> None:
        """See `Strategy.test`."""
        key = text_in(pending, self._kind.key_field, "the pending value")
        bearer(key)
        if key == current.get(self._kind.key_field):
            raise RotationError("the pending key is the current one; put a new one")
        test_url = self._kind.test_url
        if test_url is not None:
            patience.insist(lambda: try_api_key(self._send, test_url, key))
