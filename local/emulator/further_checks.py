"""What AWS asks of a caller's policies beyond the one action that the request names.

A service that encrypts uses the key on the caller's behalf, and Bedrock asks for every model that an
inference profile may route to. The emulator asks for the request's own action alone. Here the same policies
are asked the further questions, so that a permission that would be missed on AWS is missed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_actions, iam_evaluator

from local.emulator.inference_profiles import destinations


@dataclass(frozen=True)
class Check:
    """One more question to the caller's policies."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """The service whose resource policies count as well."""
        return self.action.partition(":")[0]


_TABLE_DATA = frozenset(
    f"dynamodb:{operation}"
    for operation in (
        "BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem",
        "GetItem", "PutItem", "Query", "Scan", "UpdateItem",
    )
)  # fmt: skip
"""Every one decrypts the table's key, writing too:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html"""

_SECRET_USES: Mapping[str, tuple[str, ...]] = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "secretsmanager:PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
    "secretsmanager:UpdateSecret": ("kms:GenerateDataKey", "kms:Decrypt"),
}
"""https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html"""

_PROFILE = ":inference-profile/"


def complete() -> None:
    """Install the further checks. Must run before the emulator's application is imported."""
    _ask_for_the_permissions_of_converse()
    _name_inference_profiles()
    enforce = iam_evaluator.enforce

    def enforce_completely(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> object:
        refused = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        for check in () if refused else _further(iam_action, region, resource_arn):
            refused = enforce(
                access_key_id, check.action, check.service, region, check.resource, dict(check.context)
            )
            if refused:
                break
        return refused

    iam_evaluator.enforce = enforce_completely


def _further(action: str, region: str, resource: str) -> Iterator[Check]:
    if action in _TABLE_DATA:
        yield from _key_uses(("kms:Decrypt",), _table_key(resource), "dynamodb", region)
    elif action in _SECRET_USES:
        yield from _key_uses(_SECRET_USES[action], _secret_key(resource), "secretsmanager", region)
    elif action.startswith("bedrock:InvokeModel") and _PROFILE in resource:
        profile = resource.partition(_PROFILE)[2]
        model = profile.partition(".")[2]
        for destination in destinations(profile, region):
            yield Check(
                action=action,
                resource=f"arn:aws:bedrock:{destination}::foundation-model/{model}",
                context={"bedrock:InferenceProfileArn": resource},
            )


def _key_uses(actions: tuple[str, ...], key: str | None, service: str, region: str) -> Iterator[Check]:
    if key is not None:
        for action in actions:
            yield Check(action, key, {"kms:ViaService": f"{service}.{region}.amazonaws.com"})


def _table_key(arn: str) -> str | None:
    from ministack.services import dynamodb

    table = dynamodb._tables.get(arn.partition(":table/")[2].partition("/")[0]) or {}
    key = (table.get("SSEDescription") or {}).get("KMSMasterKeyArn")
    return str(key) if key else None


def _secret_key(arn: str) -> str | None:
    from ministack.services import secretsmanager

    _name, secret = secretsmanager._resolve(arn)
    key = (secret or {}).get("KmsKeyId")
    return str(key) if key else None


def _ask_for_the_permissions_of_converse() -> None:
    """Converse has no action of its own: it needs that of InvokeModel.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    """
    actions = {
        "bedrock:Converse": "bedrock:InvokeModel",
        "bedrock:ConverseStream": "bedrock:InvokeModelWithResponseStream",
    }
    extract: Callable[..., str | None] = iam_actions.extract_iam_action

    def extract_as_aws_names_it(*request: object, **named: object) -> str | None:
        action = extract(*request, **named)
        return actions.get(action, action) if action else action

    iam_actions.extract_iam_action = extract_as_aws_names_it


def _name_inference_profiles() -> None:
    """The emulator takes every model id for that of a foundation model."""
    extract: Callable[..., str] = iam_actions.extract_resource_arn

    def extract_profile(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        resource = extract(service, method, path, headers, body, query_params, region, account_id)
        model = resource.partition("::foundation-model/")[2]
        if service == "bedrock-runtime" and destinations(model, region):
            return f"arn:aws:bedrock:{region}:{account_id}{_PROFILE}{model}"
        return resource

    iam_actions.extract_resource_arn = extract_profile
