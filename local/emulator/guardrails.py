"""Bedrock guardrails and their published versions."""

from __future__ import annotations

from typing import Any

from local.emulator.handlers import Properties, Provisioned, handler, physical_name
from local.emulator.member_names import api_form
from local.emulator.service_calls import ServiceCallError, call

_POLICIES = (
    "topicPolicyConfig",
    "contentPolicyConfig",
    "wordPolicyConfig",
    "sensitiveInformationPolicyConfig",
    "contextualGroundingPolicyConfig",
    "crossRegionConfig",
)


_RENAMED = {
    "TopicsTierConfig": "tierConfig",
    "ContentFiltersTierConfig": "tierConfig",
    "GuardrailProfileArn": "guardrailProfileIdentifier",
}


def _numbers(value: Any) -> Any:  # noqa: ANN401  (any JSON value)
    """Thresholds are numbers in the API; a template may carry any JSON number."""
    if isinstance(value, dict):
        return {
            key: float(member) if key == "threshold" else _numbers(member) for key, member in value.items()
        }
    return [_numbers(member) for member in value] if isinstance(value, list) else value


def _configuration(properties: Properties, name: str) -> dict[str, Any]:
    given = api_form(dict(properties), renamed=_RENAMED)
    policies = {policy: _numbers(given[policy]) for policy in _POLICIES if policy in given}
    return policies | {
        "name": given.get("name", name),
        "description": given.get("description"),
        "blockedInputMessaging": given["blockedInputMessaging"],
        "blockedOutputsMessaging": given["blockedOutputsMessaging"],
        "kmsKeyId": given.get("kmsKeyArn"),
    }


def _provisioned(guardrail_id: str, arn: str) -> Provisioned:
    guardrail = call("bedrock", "GetGuardrail", guardrailIdentifier=guardrail_id)
    return arn, {
        "GuardrailArn": arn,
        "GuardrailId": guardrail_id,
        "Version": "DRAFT",
        "Status": guardrail.get("status", "READY"),
        "CreatedAt": guardrail["createdAt"].isoformat(),
        "UpdatedAt": guardrail["updatedAt"].isoformat(),
        "StatusReasons": [],
        "FailureRecommendations": [],
    }


def _create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    configuration = _configuration(properties, physical_name(stack_name, logical_id, 50))
    tags = api_form(list(properties.get("Tags") or [])) or None
    guardrail = call("bedrock", "CreateGuardrail", **configuration, tags=tags)
    return _provisioned(guardrail["guardrailId"], guardrail["guardrailArn"])


def _update(
    physical_id: str, _old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    configuration = _configuration(new, physical_name(stack_name, logical_id, 50))
    guardrail = call("bedrock", "UpdateGuardrail", guardrailIdentifier=_id(physical_id), **configuration)
    return _provisioned(guardrail["guardrailId"], physical_id)


def _delete(physical_id: str, _properties: Properties) -> None:
    call("bedrock", "DeleteGuardrail", guardrailIdentifier=_id(physical_id))


def _id(identifier: str) -> str:
    return identifier.rsplit("/", 1)[-1]


def _create_version(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    guardrail_id = _id(properties["GuardrailIdentifier"])
    published = call(
        "bedrock",
        "CreateGuardrailVersion",
        guardrailIdentifier=guardrail_id,
        description=properties.get("Description"),
    )
    arn = call("bedrock", "GetGuardrail", guardrailIdentifier=guardrail_id)["guardrailArn"]
    version = published["version"]
    attributes = {"GuardrailArn": arn, "GuardrailId": guardrail_id, "Version": version}
    return f"{guardrail_id}|{version}", attributes


def _delete_version(physical_id: str, _properties: Properties) -> None:
    guardrail_id, version = physical_id.split("|")
    try:
        call("bedrock", "GetGuardrail", guardrailIdentifier=guardrail_id)
    except ServiceCallError:
        return  # the guardrail is gone and its versions with it
    _forget_version(guardrail_id, version)


def _forget_version(guardrail_id: str, version: str) -> None:
    """The emulator's DeleteGuardrail ignores the version and would delete the whole guardrail."""
    from ministack.services import bedrock

    bedrock._guardrail_versions.pop(f"{guardrail_id}/{version}", None)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {
        "AWS::Bedrock::Guardrail": handler(_create, _delete, _update),
        "AWS::Bedrock::GuardrailVersion": handler(_create_version, _delete_version),
    }
