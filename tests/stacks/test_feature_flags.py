"""The FeatureFlags stack: every flag starts off, under the name the gateway reads."""

from __future__ import annotations

import re

from tests.stacks.synthesis import Synthesis


def test_every_flag_is_deployed_off_under_its_contract_name(every_environment: Synthesis) -> None:
    flags = {
        resource.properties["Name"]: resource.properties["Value"]
        for resource in every_environment.resources("AWS::SSM::Parameter", "FeatureFlags")
    }
    path = f"/ai-orchestration/{every_environment.environment.name}/flags"
    assert flags == {
        f"{path}/rollout-stage": "off",
        f"{path}/kill-switch.all": "off",
        f"{path}/kill-switch.bedrock": "off",
        f"{path}/kill-switch.google": "off",
        f"{path}/kill-switch.llama": "off",
    }


def test_a_flag_refuses_a_value_it_does_not_know(production: Synthesis) -> None:
    patterns = {
        resource.properties["Name"].rsplit("/", 1)[1]: resource.properties["AllowedPattern"]
        for resource in production.resources("AWS::SSM::Parameter", "FeatureFlags")
    }
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
