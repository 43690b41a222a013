"""Versions of a secret, where the emulator takes more than AWS does.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

Answer: TypeAlias = tuple[int, dict[str, str], bytes]


def complete() -> None:
    """A version gets its value once, a label is on one version at a time, and no value is no answer."""
    from ministack.services import secretsmanager

    put, get = secretsmanager._put_secret_value, secretsmanager._get_secret_value

    def put_once(request: dict[str, Any]) -> Answer:
        _name, secret = secretsmanager._resolve(request.get("SecretId"))
        version = str(request.get("ClientRequestToken", ""))
        known = (secret or {}).get("Versions", {}).get(version)
        if known is not None and has_value(known):
            return _put_again(secret, version, known, request)
        answer: Answer = put(request)
        if secret is not None and answer[0] == 200:
            written = json.loads(answer[2])["VersionId"]
            for label in secret["Versions"][written]["Stages"]:
                secretsmanager._remove_stage_everywhere(secret, label, except_version_id=written)
        return answer

    def get_a_value(request: dict[str, Any]) -> Answer:
        answer: Answer = get(request)
        if answer[0] == 200 and not {"SecretString", "SecretBinary"} & json.loads(answer[2]).keys():
            return error(
                "ResourceNotFoundException", "Secrets Manager can't find the specified secret value."
            )
        return answer

    secretsmanager._put_secret_value = put_once
    secretsmanager._get_secret_value = get_a_value


def has_value(version: dict[str, Any]) -> bool:
    """Whether a version was given its value; a rotation makes versions without one."""
    return version.get("SecretString") is not None or version.get("SecretBinary") is not None


def error(code: str, message: str) -> Answer:
    """An answer of Secrets Manager that is an error."""
    from ministack.core.responses import error_response_json

    answer: Answer = error_response_json(code, message, 400)
    return answer


def _put_again(secret: Any, version: str, known: dict[str, Any], request: dict[str, Any]) -> Answer:  # noqa: ANN401
    """The same value is taken for a repetition; another one is refused."""
    from ministack.core.responses import json_response

    same = all(known.get(part) == request.get(part) for part in ("SecretString", "SecretBinary"))
    if not same:
        return error(
            "ResourceExistsException",
            f"You can't use ClientRequestToken {version} because that value is already in use for a version "
            f"of secret {secret['ARN']}.",
        )
    answer: Answer = json_response(
        {
            "ARN": secret["ARN"],
            "Name": secret["Name"],
            "VersionId": version,
            "VersionStages": list(known["Stages"]),
        }
    )
    return answer
