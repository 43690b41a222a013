"""What the function is told: which secrets it rotates, and how each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lambdas.secret_rotation.document import number_in, text_in
from lambdas.secret_rotation.http_call import refuse_insecure
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.scope import Scope

_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):\d{12}:secret:[\w/+=.@-]+")


@dataclass(frozen=True, kw_only=True)
class GeneratedKeys:
    """The gateway's own keys; the one before stays valid for `overlap_s`."""

    overlap_s: float


@dataclass(frozen=True, kw_only=True)
class GoogleServiceAccount:
    """A service account's key, made by Google's IAM API at `iam_base_url` (an origin)."""

    iam_base_url: str
    grace_s: float


@dataclass(frozen=True, kw_only=True)
class ApiKeyByAdministration:
    """An API key that its endpoint's administration makes.

    `administration_secret` (an ARN) holds the administrator's key.
    """

    administration_url: str
    administration_secret: str
    test_url: str
    grace_s: float


@dataclass(frozen=True, kw_only=True)
class ApiKeyByHand:
    """An API key that a person puts in the member `key_field`; without a `test_url` its shape is judged."""

    test_url: str | None
    key_field: str


Kind: TypeAlias = GeneratedKeys | GoogleServiceAccount | ApiKeyByAdministration | ApiKeyByHand


@dataclass(frozen=True, kw_only=True)
class RotatedSecret:
    """One secret, the name it is measured under, where it belongs, and how its keys are made."""

    arn: str
    name: str
    scope: Scope
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The environment's name, and its secrets by ARN."""

    environment: str
    secrets: Mapping[str, RotatedSecret]

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Settings:
        """Read the function's environment.

        Raises:
            RotationError: a variable is missing or malformed, naming the secret and the member.
        """
        environment = text_in(variables, "ENVIRONMENT", "the function's variables")
        text = text_in(variables, "ROTATED_SECRETS", "the function's variables")
        try:
            declared = json.loads(text)
        except ValueError:
            raise RotationError("ROTATED_SECRETS is no JSON; deploy a JSON object from ARN to kind") from None
        if not isinstance(declared, dict):
            raise RotationError("ROTATED_SECRETS is no JSON object; deploy one from ARN to kind")
        administrations = {
            members.get("administration_secret") for members in declared.values() if isinstance(members, dict)
        }
        return cls(
            environment=environment,
            secrets={
                arn: _rotated(environment, arn, members, "admin_key" if arn in administrations else "api_key")
                for arn, members in declared.items()
            },
        )


def _rotated(environment: str, arn: str, members: object, key_field: str) -> RotatedSecret:
    match = _SECRET_ARN.fullmatch(arn)
    if match is None:
        raise RotationError(f"ROTATED_SECRETS names {arn!r}, which is no secret's ARN")
    what = f"{arn} in ROTATED_SECRETS"
    if not isinstance(members, dict):
        raise RotationError(f"{what} is a {type(members).__name__}; it must be an object")
    kind = text_in(members, "kind", what)
    if kind not in _KINDS:
        raise RotationError(f"`kind` of {what} is {kind!r}; use one of {', '.join(_KINDS)}")
    further, read = _KINDS[kind]
    if unknown := members.keys() - {"name", "kind", "provider", *further}:
        raise RotationError(f"{what} has the unknown members {', '.join(sorted(unknown))}; leave them out")
    return RotatedSecret(
        arn=arn,
        name=text_in(members, "name", what),
        scope=Scope(
            environment=environment, region=match["region"], provider=text_in(members, "provider", what)
        ),
        kind=read(members, what, key_field),
    )


def _generated_keys(members: Mapping[str, object], what: str, _key_field: str) -> GeneratedKeys:
    return GeneratedKeys(overlap_s=number_in(members, "overlap_s", what))


def _google_service_account(
    members: Mapping[str, object], what: str, _key_field: str
) -> GoogleServiceAccount:
    return GoogleServiceAccount(
        iam_base_url=_address(members, "iam_base_url", what), grace_s=number_in(members, "grace_s", what)
    )


def _api_key_by_administration(
    members: Mapping[str, object], what: str, _key_field: str
) -> ApiKeyByAdministration:
    return ApiKeyByAdministration(
        administration_url=_address(members, "administration_url", what),
        administration_secret=text_in(members, "administration_secret", what),
        test_url=_address(members, "test_url", what),
        grace_s=number_in(members, "grace_s", what),
    )


def _api_key_by_hand(members: Mapping[str, object], what: str, key_field: str) -> ApiKeyByHand:
    test_url = None if members.get("test_url") is None else _address(members, "test_url", what)
    return ApiKeyByHand(test_url=test_url, key_field=key_field)


def _address(members: Mapping[str, object], member: str, what: str) -> str:
    url = text_in(members, member, what)
    refuse_insecure(url, f"`{member}` of {what}")
    return url.rstrip("/")


_Read: TypeAlias = Callable[[Mapping[str, object], str, str], Kind]
_KINDS: Mapping[str, tuple[frozenset[str], _Read]] = {
    "generated_keys": (frozenset({"overlap_s"}), _generated_keys),
    "google_service_account": (frozenset({"iam_base_url", "grace_s"}), _google_service_account),
    "api_key_by_administration": (
        frozenset({"administration_url", "administration_secret", "test_url", "grace_s"}),
        _api_key_by_administration,
    ),
    "api_key_by_hand": (frozenset({"test_url"}), _api_key_by_hand),
}
