"""The FeatureFlags stack: every flag starts off, under the name the gateway reads."""

from __future__ import annotations

import json
import re

from tests.stacks.synthesis import Synthesis


def declared_flags(synthesis: Synthesis) -> list[dict[str, str]]:
    flags: list[dict[str, str]] = json.loads(
        synthesis.only("AWS::CloudFormation::CustomResource", "FeatureFlags")["Parameters"]
    )
    return flags


def test_every_flag_is_created_off_under_its_contract_name(every_environment: Synthesis) -> None:
    flags = {flag["Name"]: flag["Value"] for flag in declared_flags(every_environment)}
    path = f"/ai-orchestration/{every_environment.environment.name}/flags"
    assert flags == {
        f"{path}/rollout-stage": "off",
        f"{path}/kill-switch.all": "off",
        f"{path}/kill-switch.bedrock": "off",
        f"{path}/kill-switch.google": "off",
        f"{path}/kill-switch.llama": "off",
    }


def test_a_flag_refuses_a_value_it_does_not_know(production: Synthesis) -> None:
    patterns = {flag["Name"].rsplit("/", 1)[1]: flag["AllowedPattern"] for flag in declared_flags(production)}
    for stage in ("off", "shadow", "canary", "active"):
        assert re.match(patterns["rollout-stage"], stage)
    assert not re.match(patterns["rollout-stage"], "on")
    assert re.match(patterns["kill-switch.all"], "on")
    assert not re.match(patterns["kill-switch.all"], "onward")


def test_the_flag_table_is_encrypted_and_can_be_restored(production: Synthesis) -> None:
    table = production.only("AWS::DynamoDB::GlobalTable", "FeatureFlags")
    assert table["KeySchema"] == [{"AttributeName": "flag", "KeyType": "HASH"}]
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    (replica,) = table["Replicas"]
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert "TableKey" in str(replica["SSESpecification"]["KMSMasterKeyId"])
