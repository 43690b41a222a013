"""RotateSecret, which the emulator has as a stub: the function is called, step by step, as AWS does.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
"""

from __future__ import annotations

import contextvars
import copy
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, json_response, new_uuid

from local.emulator.function_policies import may_invoke
from local.emulator.handlers import Properties, Provisioned, handler
from local.emulator.secret_versions import Answer, error
from local.emulator.service_calls import call

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
SECRETS_MANAGER = "secretsmanager.amazonaws.com"
CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
ATTEMPTS = 3
"""AWS repeats a rotation that fails several times and does not say how often."""

_PAUSE_S = 0.5
_DAY_S = 24 * 3600
_LOG = logging.getLogger("local.rotation")


def complete() -> None:
    """Put the calls in the place of the stub."""
    from ministack.services import secretsmanager

    stub, describe = secretsmanager._rotate_secret, secretsmanager._describe_secret

    def rotate(request: dict[str, Any]) -> Answer:
        _name, secret = secretsmanager._resolve(request.get("SecretId"))
        if not secret or secret.get("DeletedDate") or secretsmanager._is_replica(secret):
            refused: Answer = stub(request)  # it judges those well
            return refused
        return _rotate(secret, request)

    def describe_with_moments(request: dict[str, Any]) -> Answer:
        answer: Answer = describe(request)
        _name, secret = secretsmanager._resolve(request.get("SecretId"))
        if answer[0] != 200 or not secret or not secret.get("RotationEnabled"):
            return answer
        described: Answer = json_response({**json.loads(answer[2]), **_moments(secret)})
        return described

    secretsmanager._rotate_secret = rotate
    secretsmanager._describe_secret = describe_with_moments


def _moments(secret: dict[str, Any]) -> dict[str, float]:
    rotated = secret.get("LastRotatedDate")
    days = (secret.get("RotationRules") or {}).get("AutomaticallyAfterDays")
    moments = {"LastRotatedDate": rotated} if rotated else {}
    if days:
        moments["NextRotationDate"] = int(rotated or time.time()) + int(days) * _DAY_S
    return moments


def _rotate(secret: dict[str, Any], request: dict[str, Any]) -> Answer:
    function = request.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    refused = _refusal(secret, function)
    if refused is not None:
        return refused
    secret["RotationEnabled"] = True
    secret["RotationLambdaARN"] = function
    secret["RotationRules"] = request.get("RotationRules") or secret.get("RotationRules")
    answer = {"ARN": secret["ARN"], "Name": secret["Name"]}
    token = str(request.get("ClientRequestToken") or new_uuid())
    if str(request.get("RotateImmediately", True)).lower() == "false":
        _in_background(_try, secret, token)
    else:
        _pend(secret, token, None)
        answer["VersionId"] = token
        _in_background(_go_through, secret, token)
    started: Answer = json_response(answer)
    return started


def _refusal(secret: dict[str, Any], function: str | None) -> Answer | None:
    if not function:
        return error(
            "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."
        )
    if not may_invoke(function, SECRETS_MANAGER, {"aws:SourceAccount": get_account_id()}):
        return error(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy "
            f"grants access to the principal {SECRETS_MANAGER}.",
        )
    if _pending(secret) is not None:
        return error(
            "InvalidRequestException",
            "A previous rotation isn't complete. That rotation will be reattempted.",
        )
    return None


def _pending(secret: dict[str, Any]) -> str | None:
    """The version of a rotation that is under way."""
    for version, state in secret["Versions"].items():
        if PENDING in state["Stages"] and CURRENT not in state["Stages"]:
            return str(version)
    return None


def _pend(secret: dict[str, Any], token: str, value: dict[str, Any] | None) -> None:
    """A version under AWSPENDING, without a value unless one is given; the label comes off any other."""
    from ministack.services import secretsmanager

    secretsmanager._remove_stage_everywhere(secret, PENDING)
    secret["Versions"][token] = {
        "SecretString": (value or {}).get("SecretString"),
        "SecretBinary": (value or {}).get("SecretBinary"),
        "CreatedDate": int(time.time()),
        "Stages": [PENDING],
    }


def _in_background(work: Callable[..., None], *arguments: object) -> None:
    """The function calls the emulator, whose loop must be free for it."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work, *arguments), daemon=True).start()


def _go_through(secret: dict[str, Any], token: str) -> None:
    """Every step in its order; from the first again where one fails."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        failed = next((step for step in STEPS if not _succeeds(secret, token, step)), None)
        if failed is None:
            secret["LastRotatedDate"] = int(time.time())
            return
        _LOG.warning("rotation of %s failed at %s, attempt %d", secret["Name"], failed, attempt + 1)


def _try(secret: dict[str, Any], token: str) -> None:
    """What AWS does instead of a rotation: testSecret, with a copy of the value in force."""
    current = next(state for state in secret["Versions"].values() if CURRENT in state["Stages"])
    _pend(secret, token, copy.deepcopy(current))
    if not _succeeds(secret, token, "testSecret"):
        _LOG.warning("the rotation of %s does not pass its trial", secret["Name"])
    if CURRENT not in secret["Versions"][token]["Stages"]:
        del secret["Versions"][token]


def _succeeds(secret: dict[str, Any], token: str, step: str) -> bool:
    from ministack.services import lambda_svc

    record, configuration, _name = lambda_svc._get_func_record_for_ref(secret["RotationLambdaARN"])
    if record is None:
        return False
    runnable = lambda_svc._execution_record_for_config(record, configuration)
    event = {"SecretId": secret["ARN"], "ClientRequestToken": token, "Step": step}
    return not lambda_svc._execute_function_with_config_scope(runnable, event).get("error")


# ---- the schedule of a template; its clock does not run here ----


def _create(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    days = (properties.get("RotationRules") or {}).get("AutomaticallyAfterDays")
    answer = call(
        "secretsmanager",
        "RotateSecret",
        SecretId=properties["SecretId"],
        ClientRequestToken=new_uuid(),
        RotationLambdaARN=properties.get("RotationLambdaARN"),
        RotationRules={"AutomaticallyAfterDays": int(days)} if days else None,
        RotateImmediately=str(properties.get("RotateImmediatelyOnUpdate", True)).lower() == "true",
    )
    return answer["ARN"], {"Id": answer["ARN"]}


def _update(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    if old == new:
        return physical_id, {"Id": physical_id}
    return _create(logical_id, new, stack_name)


def _delete(physical_id: str, _properties: Properties) -> None:
    from ministack.services import secretsmanager

    _name, secret = secretsmanager._resolve(physical_id)
    if secret:
        secret.update(RotationEnabled=False, RotationLambdaARN=None, RotationRules=None)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {"AWS::SecretsManager::RotationSchedule": handler(_create, _delete, _update)}
