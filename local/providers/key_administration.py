"""Where keys are made and ended: Google's IAM API for service accounts, OpenAI's API for administrators.

    POST, GET  /v1/projects/{project}/serviceAccounts/{email}/keys, DELETE …/keys/{id}
    POST, GET  /llama/v1/organization/projects/{project}/service_accounts, DELETE …/service_accounts/{id}

https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys
https://platform.openai.com/docs/api-reference/project-service-accounts
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import TypeAlias, TypeVar

import msgspec
from cryptography.hazmat.primitives import serialization

from local.providers import credentials
from local.providers.exchange import KnownCredentials, Received, RefusalError
from local.providers.issued_keys import MOST_KEYS, IssuedKey, IssuedKeys

Json: TypeAlias = dict[str, object]
T = TypeVar("T", bound=msgspec.Struct)

_SERVICE_ACCOUNT = "organization.project.service_account"
_PAGE = 20


class ServiceAccountRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a service account of a project is made from."""

    name: str


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a key of a service account is made from."""

    privateKeyType: str = "TYPE_GOOGLE_CREDENTIALS_FILE"  # noqa: N815
    keyAlgorithm: str = "KEY_ALG_RSA_2048"  # noqa: N815


class GoogleIam:
    """Keys of service accounts, made and deleted with a token of the account itself."""

    def __init__(self, keys: IssuedKeys) -> None:
        self._keys = keys

    def create(self, received: Received, project: str, email: str) -> Json:
        """A new key, shown this once."""
        self._authorise(received, email)
        _decoded(received.body, KeyRequest)
        if len(self._keys.of(email)) >= MOST_KEYS:
            raise RefusalError(400, "Precondition check failed.", code="FAILED_PRECONDITION")
        document = credentials.generated_service_account(f"{received.url_origin}/token")
        document |= {"client_email": email, "private_key_id": secrets.token_hex(20)}
        key = self._keys.add(
            email, key_id=document["private_key_id"], material=_public_key(document["private_key"])
        )
        private = base64.b64encode(msgspec.json.encode(document)).decode()
        return _described(key, project) | {
            "privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE",
            "privateKeyData": private,
        }

    def list(self, received: Received, project: str, email: str) -> Json:
        """The account's keys; no member where there is none, as protobuf's JSON has it."""
        self._authorise(received, email)
        found = [_described(key, project) for key in self._keys.of(email)]
        return {"keys": found} if found else {}

    def delete(self, received: Received, email: str, key_id: str) -> Json:
        """Nothing, once the key is gone."""
        self._authorise(received, email)
        self._keys.end(email, key_id)
        return {}

    def _authorise(self, received: Received, email: str) -> None:
        key_id = credentials.check_google(received, time.time())
        key = self._keys.living(key_id)
        if key is not None and key.owner != email:
            raise RefusalError(
                403, "Permission 'iam.serviceAccountKeys.create' denied.", code="PERMISSION_DENIED"
            )


class LlamaAdministration:
    """API keys of the Llama endpoint, one service account each, made with an administrator's key."""

    def __init__(self, keys: IssuedKeys) -> None:
        self._keys = keys

    def create(self, received: Received, known: KnownCredentials, project: str) -> Json:
        """A new service account; its key is shown this once."""
        self._authorise(received, known)
        name = _decoded(received.body, ServiceAccountRequest).name
        value = f"sk-simulated-{secrets.token_hex(20)}"
        key = self._keys.add(project, name=name, material=value)
        return _account(key) | {
            "api_key": {
                "object": f"{_SERVICE_ACCOUNT}.api_key",
                "value": value,
                "name": "Secret Key",
                "created_at": int(key.made_at_s),
                "id": f"key_{key.id}",
            }
        }

    def list(
        self, received: Received, known: KnownCredentials, project: str, *, limit: str = "", after: str = ""
    ) -> Json:
        """A page of the project's service accounts."""
        self._authorise(received, known)
        accounts = self._keys.of(project)
        start = next((at + 1 for at, key in enumerate(accounts) if key.id == after), 0)
        page = accounts[start : start + (int(limit) if limit.isdecimal() else _PAGE)]
        return {
            "object": "list",
            "data": [_account(key) for key in page],
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
            "has_more": start + len(page) < len(accounts),
        }

    def delete(self, received: Received, known: KnownCredentials, project: str, key_id: str) -> Json:
        """Ends the service account and its key."""
        self._authorise(received, known)
        self._keys.end(project, key_id)
        return {"object": f"{_SERVICE_ACCOUNT}.deleted", "id": key_id, "deleted": True}

    def _authorise(self, received: Received, known: KnownCredentials) -> None:
        """An administrator's key, never one that only calls models."""
        key = credentials.bearer(received)
        administrators = known.llama_administrators
        is_ordinary = key in known.llama or self._keys.with_material(key) is not None
        if not key or is_ordinary or (administrators and key not in administrators):
            raise RefusalError(401, "Incorrect API key provided.")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RefusalError(400, f"Invalid JSON payload received. {error}") from None


def _described(key: IssuedKey, project: str) -> Json:
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key.made_at_s))
    return {
        "name": f"projects/{project}/serviceAccounts/{key.owner}/keys/{key.id}",
        "validAfterTime": made_at,
        "validBeforeTime": "9999-12-31T23:59:59Z",
        "keyAlgorithm": "KEY_ALG_RSA_2048",
        "keyOrigin": "GOOGLE_PROVIDED",
        "keyType": "USER_MANAGED",
    }


def _account(key: IssuedKey) -> Json:
    return {
        "object": _SERVICE_ACCOUNT,
        "id": key.id,
        "name": key.name,
        "role": "member",
        "created_at": int(key.made_at_s),
    }


def _public_key(private_key: str) -> str:
    key = serialization.load_pem_private_key(private_key.encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
