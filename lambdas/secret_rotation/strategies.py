"""Which strategy a kind of secret has."""

from __future__ import annotations

from collections.abc import Callable

from lambdas.secret_rotation.api_key_by_administration import AdministeredKeys, ApiKeyByAdministrationStrategy
from lambdas.secret_rotation.api_key_by_hand import ApiKeyByHandStrategy
from lambdas.secret_rotation.document import Document, parse
from lambdas.secret_rotation.generated_keys import GeneratedKeysStrategy
from lambdas.secret_rotation.google_service_account import GoogleKeys, GoogleServiceAccountStrategy
from lambdas.secret_rotation.http_call import Send
from lambdas.secret_rotation.settings import (
    ApiKeyByAdministration,
    ApiKeyByHand,
    GeneratedKeys,
    GoogleServiceAccount,
    RotatedSecret,
)
from lambdas.secret_rotation.strategy import Strategy
from lambdas.secret_rotation.vault import Vault


def strategy_of(rotated: RotatedSecret, *, vault: Vault, send: Send, now_s: Callable[[], float]) -> Strategy:
    """What makes, tests and ends the keys of a secret."""
    match rotated.kind:
        case GeneratedKeys() as kind:
            return GeneratedKeysStrategy(kind)
        case GoogleServiceAccount() as kind:
            return GoogleServiceAccountStrategy(GoogleKeys(kind, send, now_s), send, now_s)
        case ApiKeyByAdministration() as kind:
            administrator = _reader(vault, kind.administration_secret)
            keys = AdministeredKeys(kind, rotated.scope, administrator, send)
            return ApiKeyByAdministrationStrategy(kind, keys, send)
        case ApiKeyByHand() as kind:
            return ApiKeyByHandStrategy(kind, send)


def _reader(vault: Vault, arn: str) -> Callable[[], Document]:
    def read() -> Document:
        answer = vault.get_secret_value(SecretId=arn)
        return parse(str(answer.get("SecretString", "")), "the administrator's secret")

    return read
