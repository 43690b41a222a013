"""Secrets Manager: what a secret's template properties mean, and its policy.

The native handler of `AWS::SecretsManager::Secret` yields the name for `Ref`, where AWS yields the
ARN (policies and environments rely on it), and draws generated values without regard to the
exclusions the template asks for. It also drops the key that encrypts the secret.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services.cloudformation import provisioners

from local.emulator.handlers import Properties, Provisioned, handler
from local.emulator.service_calls import ServiceCallError, call

_PASSWORD_OPTIONS = (
    "PasswordLength",
    "ExcludeCharacters",
    "ExcludeNumbers",
    "ExcludePunctuation",
    "ExcludeUppercase",
    "ExcludeLowercase",
    "IncludeSpace",
    "RequireEachIncludedType",
)
_NATIVE = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]


def _generated(generation: Properties) -> str:
    """The value `GenerateSecretString` asks for, drawn by GetRandomPassword as AWS does."""
    options = {option: generation[option] for option in _PASSWORD_OPTIONS if option in generation}
    password = str(call("secretsmanager", "GetRandomPassword", **_typed(options))["RandomPassword"])
    if "SecretStringTemplate" not in generation:
        return password
    template = json.loads(generation["SecretStringTemplate"])
    return json.dumps(template | {generation["GenerateStringKey"]: password})


def _typed(options: dict[str, Any]) -> dict[str, Any]:
    """YAML templates may carry numbers and booleans as text."""
    typed = dict(options)
    for name, value in options.items():
        if name == "PasswordLength":
            typed[name] = int(value)
        elif name != "ExcludeCharacters":
            typed[name] = str(value).lower() == "true"
    return typed


def _with_value(properties: Properties) -> dict[str, Any]:
    if not properties.get("GenerateSecretString"):
        return dict(properties)
    rest = {name: value for name, value in properties.items() if name != "GenerateSecretString"}
    return rest | {"SecretString": _generated(properties["GenerateSecretString"])}


def _create_secret(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    _name, attributes = _NATIVE["create"](logical_id, _with_value(properties), stack_name)
    _encrypt(attributes["Arn"], properties)
    return attributes["Arn"], attributes


def _encrypt(arn: str, properties: Properties) -> None:
    """Note the key the template names; the emulator's UpdateSecret does not."""
    from ministack.services import secretsmanager

    _name, secret = secretsmanager._resolve(arn)
    secret["KmsKeyId"] = properties.get("KmsKeyId")


def _update_secret(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    """As AWS: the value changes only when the template's wish for it changes."""
    same_wish = old.get("GenerateSecretString") == new.get("GenerateSecretString")
    wished = dict(new) if same_wish else _with_value(new)
    name = call("secretsmanager", "DescribeSecret", SecretId=physical_id)["Name"]
    _name, attributes = _NATIVE["update"](name, old, wished, stack_name, logical_id)
    return attributes["Arn"], attributes


def _delete_secret(physical_id: str, properties: Properties) -> None:
    try:
        name = call("secretsmanager", "DescribeSecret", SecretId=physical_id)["Name"]
    except ServiceCallError:
        return  # an operator deleted it already
    _NATIVE["delete"](name, properties)


def _create_policy(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    secret = call(
        "secretsmanager",
        "PutResourcePolicy",
        SecretId=properties["SecretId"],
        ResourcePolicy=json.dumps(properties["ResourcePolicy"]),
    )
    return secret["ARN"], {"Id": secret["ARN"]}


def _delete_policy(physical_id: str, _properties: Properties) -> None:
    call("secretsmanager", "DeleteResourcePolicy", SecretId=physical_id)


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {
        "AWS::SecretsManager::Secret": handler(_create_secret, _delete_secret, _update_secret),
        "AWS::SecretsManager::ResourcePolicy": handler(_create_policy, _delete_policy),
    }
