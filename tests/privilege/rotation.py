"""The rotation at work: every kind of secret is rotated, and what a person put is promoted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from botocore.exceptions import ClientError

from local.provider_secrets import secret_value
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.clients import admin, log_events, outputs

ROTATED = {
    "ClientKeysSecretArn": "rotates the client keys",
    "AdminKeysSecretArn": "rotates the admin keys",
    "GoogleSecretArn": "rotates Google's key",
    "LlamaSecretArn": "rotates the Llama endpoint's key",
}
PROMOTED = {"LlamaAdministrationSecretArn": "promotes the key that a person put"}
OWN_KEYS = ("ClientKeysSecretArn", "AdminKeysSecretArn")
CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
_FINISHED_S = 15.0


def rotation(cloud: RunningCloud, run: str) -> Iterator[tuple[str, str | None]]:
    """Rotate by RotateSecret, promote by a sweep; callers' keys end as they were."""
    arns = outputs(cloud, "secrets")
    function = arns["RotationFunctionName"]
    group = admin(cloud, "lambda").get_function_configuration(FunctionName=function)["LoggingConfig"][
        "LogGroup"
    ]
    logged = log_events(cloud, group)
    with ExitStack() as at_the_end:
        for output in ROTATED:
            at_the_end.enter_context(left_in_order(cloud, arns[output], value_stays=output in OWN_KEYS))
        problems = rotated(cloud, [arns[output] for output in ROTATED])
        for output, check in ROTATED.items():
            yield check, problems.get(arns[output])
    for output, check in PROMOTED.items():
        with left_in_order(cloud, arns[output], value_stays=True):
            document = secret_value(cloud.account, arns[output])
            version = put_pending(cloud, arns[output], {**document, "admin_key": f"administrator-{run}"})
            sweep(cloud)
            current = CURRENT in stages(cloud, arns[output]).get(version, [])
            finished = PENDING not in stages(cloud, arns[output]).get(version, [])
            yield check, None if current and finished else "it is not the current value, or still pending"
    yield "writes its log", None if log_events(cloud, group) > logged else f"{group} has no new event"


def rotated(cloud: RunningCloud, arns: Sequence[str]) -> dict[str, str]:
    """Rotate secrets to the end, side by side; what went wrong, by secret."""
    problems, versions = {}, {}
    for arn in arns:
        try:
            versions[arn] = admin(cloud, "secretsmanager").rotate_secret(SecretId=arn)["VersionId"]
        except ClientError as error:
            problems[arn] = str(error)
    deadline = time.monotonic() + _FINISHED_S
    while versions and time.monotonic() < deadline:
        time.sleep(0.1)
        versions = {
            arn: version for arn, version in versions.items() if stages(cloud, arn).get(version) != [CURRENT]
        }
    unfinished = {arn: f"labels {stages(cloud, arn).get(version)}" for arn, version in versions.items()}
    return problems | unfinished


def call_function(cloud: RunningCloud, event: dict[str, object]) -> dict[str, Any]:
    """Call the deployed function; the answer of Lambda."""
    function = outputs(cloud, "secrets")["RotationFunctionName"]
    answer: dict[str, Any] = admin(cloud, "lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    return answer


def sweep(cloud: RunningCloud) -> None:
    """Call the function as the schedule does."""
    call_function(cloud, {"sweep": True})


def put_pending(cloud: RunningCloud, arn: str, document: dict[str, Any]) -> str:
    """Put a value as a person does; its version."""
    answer = admin(cloud, "secretsmanager").put_secret_value(
        SecretId=arn, SecretString=json.dumps(document), VersionStages=[PENDING]
    )
    return str(answer["VersionId"])


def stages(cloud: RunningCloud, arn: str) -> dict[str, list[str]]:
    """Labels by version."""
    described = admin(cloud, "secretsmanager").describe_secret(SecretId=arn)
    found: dict[str, list[str]] = described["VersionIdsToStages"]
    return found


@contextmanager
def left_in_order(cloud: RunningCloud, arn: str, *, value_stays: bool) -> Iterator[None]:
    """Take off what a failed rotation leaves, and put back a value that others call with."""
    before = secret_value(cloud.account, arn)
    secrets = admin(cloud, "secretsmanager")
    try:
        yield
    finally:
        for version, labels in stages(cloud, arn).items():
            if PENDING in labels:
                secrets.update_secret_version_stage(
                    SecretId=arn, VersionStage=PENDING, RemoveFromVersionId=version
                )
        if value_stays and secret_value(cloud.account, arn) != before:
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(before))
