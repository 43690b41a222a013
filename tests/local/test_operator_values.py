"""What an operator sets outlives a deploy of something else."""

from __future__ import annotations

import json
import time
from typing import Any

from local.outputs import deployed_stacks
from tests.local.embedded_cloud import RunningCloud

FLAGS = "/ai-orchestration/local/flags"
ROUTE_SET = "/ai-orchestration/local/route-sets/active"


def client(cloud: RunningCloud, service: str) -> Any:  # noqa: ANN401 - of any service
    session: Any = cloud.account.session()
    return session.client(service, endpoint_url=cloud.account.endpoint_url)


def deploy_with_other_tags(cloud: RunningCloud, stack: str, name: str) -> None:
    """Deploy one of the synthesised templates again, its tag `owner` another one everywhere."""
    cloudformation = client(cloud, "cloudformation")
    body = (cloud.state.assembly / f"{stack}.template.json").read_text()
    text = json.dumps(json.loads(body))
    # As a resource's own tag, and in the JSON text that the custom resource is handed.
    changed = text.replace('{"Key": "owner", "Value": "', '{"Key": "owner", "Value": "new-')
    changed = changed.replace(r"\"owner\":\"", r"\"owner\":\"new-")
    cloudformation.update_stack(StackName=name, TemplateBody=changed, Capabilities=["CAPABILITY_NAMED_IAM"])
    deadline = time.monotonic() + 60
    while (found := cloudformation.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"].endswith(
        "IN_PROGRESS"
    ):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert found["StackStatus"] == "UPDATE_COMPLETE", found


def test_a_pulled_kill_switch_stays_pulled_when_tags_are_deployed(embedded_cloud: RunningCloud) -> None:
    ssm = client(embedded_cloud, "ssm")
    switch = f"{FLAGS}/kill-switch.llama"
    dynamodb = client(embedded_cloud, "dynamodb")
    table = deployed_stacks(embedded_cloud.account)["feature-flags"].outputs["FlagTableName"]
    kept = {"flag": {"S": "evidence#kept"}}
    dynamodb.put_item(TableName=table, Item=kept)
    ssm.put_parameter(Name=switch, Value="on", Overwrite=True)
    try:
        deploy_with_other_tags(embedded_cloud, "FeatureFlags", "ai-orchestration-local-feature-flags")
        outputs = deployed_stacks(embedded_cloud.account)["feature-flags"].outputs
        assert outputs["FlagTableName"] == table
        assert dynamodb.get_item(TableName=table, Key=kept).get("Item") == kept
        assert ssm.get_parameter(Name=switch)["Parameter"]["Value"] == "on"
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=switch)["TagList"]
        (owner,) = (tag["Value"] for tag in tags if tag["Key"] == "owner")
        assert owner.startswith("new-")
    finally:
        ssm.put_parameter(Name=switch, Value="off", Overwrite=True)
        dynamodb.delete_item(TableName=table, Key=kept)


def test_an_operators_route_set_stays_in_force_when_tags_are_deployed(embedded_cloud: RunningCloud) -> None:
    ssm = client(embedded_cloud, "ssm")
    deployed = ssm.get_parameter(Name=ROUTE_SET)["Parameter"]["Value"]
    changed = json.dumps(json.loads(deployed) | {"version": "2026-12-01"})
    ssm.put_parameter(Name=ROUTE_SET, Value=changed, Overwrite=True)
    try:
        deploy_with_other_tags(embedded_cloud, "ModelRegistry", "ai-orchestration-local-model-registry")
        assert ssm.get_parameter(Name=ROUTE_SET)["Parameter"]["Value"] == changed
    finally:
        ssm.put_parameter(Name=ROUTE_SET, Value=deployed, Overwrite=True)
