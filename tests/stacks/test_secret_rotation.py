"""What rotates by the clock, who may have it rotate, and what the function that does it may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stacks.settings import Environment
from tests.stacks.synthesis import Synthesis, load_environment, synthesise

PROMOTION = {
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:TagResource",
    "secretsmanager:UpdateSecretVersionStage",
}
READERS = "OnlyReader"


def variables(synthesis: Synthesis) -> dict[str, Any]:
    (function,) = synthesis.resources("AWS::Lambda::Function", "Secrets")
    found: dict[str, Any] = function.properties["Environment"]["Variables"]
    return found


def rotated(synthesis: Synthesis) -> dict[str, dict[str, Any]]:
    """`ROTATED_SECRETS` by name; each with the logical id of its secret as `secret`."""
    _, parts = variables(synthesis)["ROTATED_SECRETS"]["Fn::Join"]
    text = "".join(part if isinstance(part, str) else part["Ref"] for part in parts)
    return {one["name"]: {**one, "secret": secret} for secret, one in json.loads(text).items()}


def schedules(synthesis: Synthesis) -> dict[str, dict[str, Any]]:
    """Rotation schedules by the logical id of their secret."""
    return {
        schedule.properties["SecretId"]["Ref"]: schedule.properties
        for schedule in synthesis.resources("AWS::SecretsManager::RotationSchedule", "Secrets")
    }


def statements(synthesis: Synthesis) -> dict[str, dict[str, Any]]:
    """What the function's role may do, by sid."""
    (policy,) = (
        policy.properties
        for policy in synthesis.resources("AWS::IAM::Policy", "Secrets")
        if "RotationRole" in json.dumps(policy.properties["Roles"])
    )
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


@pytest.fixture(scope="module")
def local_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Synthesis]:
    """The local environment with other settings of its rotation or its Llama endpoint."""

    def build(*, llama: dict[str, object] | None = None, **rotation: object) -> Synthesis:
        settings: Environment = load_environment("local")
        providers, secrets = settings.providers, settings.secrets
        changed = settings.model_copy(
            update={
                "providers": providers.model_copy(
                    update={"llama": providers.llama.model_copy(update=llama or {})}
                ),
                "secrets": secrets.model_copy(
                    update={"rotation": secrets.rotation.model_copy(update=rotation)}
                ),
            }
        )
        return synthesise(changed, Path(tmp_path_factory.mktemp("rotation")) / "out")

    return build


def test_the_function_is_told_every_secret_in_use_and_how_it_rotates(every_environment: Synthesis) -> None:
    settings = every_environment.environment
    told = rotated(every_environment)

    assert variables(every_environment).keys() == {"ENVIRONMENT", "ROTATED_SECRETS"}
    assert variables(every_environment)["ENVIRONMENT"] == settings.name
    assert told.keys() == {
        "client-keys",
        "admin-keys",
        *(["google"] if settings.providers.google.enabled else ()),
        *(["llama", "llama-administration"] if settings.providers.llama.enabled else ()),
    }
    for name in ("client-keys", "admin-keys"):
        del told[name]["secret"]
        assert told[name] == {
            "name": name, "kind": "generated_keys", "provider": "gateway", "overlap_s": 168 * 3600
        }  # fmt: skip
    assert told["google"]["iam_base_url"] == "https://iam.googleapis.com"
    assert told["google"]["grace_s"] == 24 * 3600


def test_a_key_is_made_by_administration_where_that_has_an_address(
    synthesised: Callable[[str], Synthesis],
) -> None:
    told = rotated(synthesised("local"))

    assert told["llama"] == {
        "name": "llama",
        "kind": "api_key_by_administration",
        "provider": "llama",
        "administration_url": "https://llama.invalid/v1/organization/projects/gateway",
        "administration_secret": told["llama-administration"]["secret"],
        "test_url": "https://llama.invalid/v1/models",
        "grace_s": 24 * 3600,
        "secret": told["llama"]["secret"],
    }
    assert told["llama-administration"]["kind"] == "api_key_by_hand"


def test_without_an_administration_a_person_puts_the_key(local_with: Callable[..., Synthesis]) -> None:
    by_hand = local_with(llama={"key_administration_url": None})
    told = rotated(by_hand)

    assert told["llama"]["kind"] == "api_key_by_hand"
    assert told["llama"]["test_url"] == "https://llama.invalid/v1/models"
    assert told["llama"]["secret"] not in schedules(by_hand)
    assert "llama-administration" not in told


def test_whatever_can_rotate_by_itself_does_so_by_the_clock(every_environment: Synthesis) -> None:
    by_clock = {
        one["secret"] for one in rotated(every_environment).values() if one["kind"] != "api_key_by_hand"
    }
    found = schedules(every_environment)

    assert found.keys() == by_clock
    for properties in found.values():
        assert properties["RotationRules"] == {"AutomaticallyAfterDays": 90}
        # A provider's secret is empty until an operator has set it.
        assert properties["RotateImmediatelyOnUpdate"] is False


def test_no_days_mean_no_clock(local_with: Callable[..., Synthesis]) -> None:
    on_request = local_with(client_keys_days=0, google_days=0, llama_days=0)
    told = rotated(on_request)

    assert schedules(on_request).keys() == {told["admin-keys"]["secret"]}
    assert {"client-keys", "google", "llama"} <= told.keys()


def test_every_rotated_secret_is_looked_after_every_five_minutes(production: Synthesis) -> None:
    (rule,) = production.resources("AWS::Events::Rule", "Secrets")
    (target,) = rule.properties["Targets"]

    assert rule.properties["ScheduleExpression"] == "rate(5 minutes)"
    assert rule.properties["State"] == "ENABLED"
    assert json.loads(target["Input"]) == {"sweep": True}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 1}


def test_a_call_that_nobody_waits_for_is_repeated_once_and_never_late(production: Synthesis) -> None:
    (found,) = production.resources("AWS::Lambda::EventInvokeConfig", "Secrets")

    assert found.properties["MaximumRetryAttempts"] == 1
    assert found.properties["MaximumEventAgeInSeconds"] == 300


def test_only_secrets_manager_of_this_account_and_the_schedule_call_the_function(
    every_environment: Synthesis,
) -> None:
    account = every_environment.environment.deployment.account
    (rule,) = every_environment.resources("AWS::Events::Rule", "Secrets")
    callers = {
        permission.properties["Principal"]: permission.properties
        for permission in every_environment.resources("AWS::Lambda::Permission", "Secrets")
    }

    assert callers.keys() == {"secretsmanager.amazonaws.com", "events.amazonaws.com"}
    assert callers["secretsmanager.amazonaws.com"]["SourceAccount"] == account
    assert callers["events.amazonaws.com"]["SourceArn"] == {"Fn::GetAtt": [rule.logical_id, "Arn"]}
    assert all(one["Action"] == "lambda:InvokeFunction" for one in callers.values())


def test_its_role_reaches_the_rotated_secrets_and_nothing_else(every_environment: Synthesis) -> None:
    found = statements(every_environment)
    told = rotated(every_environment).values()
    promote, make = found.pop("PromoteValuesOfItsSecrets"), found.pop("MakeValuesThatNobodyPuts")
    key = found.pop("EncryptAndDecryptItsSecrets")

    assert set(promote["Action"]) == PROMOTION
    assert {one["Ref"] for one in promote["Resource"]} == {one["secret"] for one in told}
    assert make["Action"] == "secretsmanager:PutSecretValue"
    assert {one["Ref"] for one in make["Resource"]} == {
        one["secret"] for one in told if one["kind"] != "api_key_by_hand"
    }
    assert set(key["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert key["Condition"] == {
        "StringEquals": {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}
    }
    assert "SecretsKey" in json.dumps(key["Resource"])
    assert found.keys() == {
        "WriteItsLog", "LookAtTheNetwork", "ConnectToTheNetwork", "LeaveTheNetwork", "OnlyLambdaItself"
    }  # fmt: skip
    # Lambda asks for these on all resources before it creates a function, whose own code is denied them.
    assert found["LeaveTheNetwork"]["Resource"] == "*"
    assert set(found["LeaveTheNetwork"]["Action"]) < set(found["OnlyLambdaItself"]["Action"])
    assert found["OnlyLambdaItself"]["Effect"] == "Deny"
    assert list(found["OnlyLambdaItself"]["Condition"]["ArnLike"]) == ["lambda:SourceFunctionArn"]


def test_nobody_but_the_gateway_and_the_rotation_reads_a_providers_secret(
    every_environment: Synthesis,
) -> None:
    policies = {
        policy.logical_id.removeprefix(READERS): json.dumps(policy.properties)
        for policy in every_environment.resources("AWS::SecretsManager::ResourcePolicy")
    }
    administration = policies.pop("LlamaAdministration", None)
    providers = every_environment.environment.providers

    assert policies.keys() == {
        name for name in ("Google", "Llama") if getattr(providers, name.lower()).enabled
    }
    assert all("TaskRole" in one and "RotationRole" in one for one in policies.values())
    assert (administration is None) == (providers.llama.key_administration_url is None)
    assert administration is None or ("RotationRole" in administration and "TaskRole" not in administration)
