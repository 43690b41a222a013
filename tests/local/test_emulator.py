"""The emulator deploys the types the project adds to it, and enforces IAM as synthesised."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from local import servers
from local.aws import Account
from local.ports import Ports
from local.state import StateDirectory

ACCOUNT, REGION = "111122223333", "eu-central-1"
Template = Mapping[str, Any]
Deploy = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    state = StateDirectory(tmp_path_factory.mktemp("emulator"))
    yield servers.ensure_emulator(state, Ports.free(), ACCOUNT, REGION)
    state.processes.stop(servers.EMULATOR, grace_s=5)


@pytest.fixture(scope="module")
def client(account: Account) -> Callable[[str], Any]:
    session: Any = account.session()
    return lambda service: session.client(service, endpoint_url=account.endpoint_url)


@pytest.fixture
def deploy(client: Callable[[str], Any]) -> Deploy:
    """Deploys resources as a stack, new or changed, and gives its outputs."""
    stacks = client("cloudformation")
    name = f"stack-{uuid4().hex[:8]}"

    def run(resources: Template, outputs: Mapping[str, Any] | None = None) -> dict[str, str]:
        body = {
            "Resources": resources,
            "Outputs": {key: {"Value": it} for key, it in (outputs or {}).items()},
        }
        known = name in {stack["StackName"] for stack in stacks.describe_stacks()["Stacks"]}
        change = stacks.update_stack if known else stacks.create_stack
        change(StackName=name, TemplateBody=json.dumps(body), Capabilities=["CAPABILITY_NAMED_IAM"])
        while True:
            stack = stacks.describe_stacks(StackName=name)["Stacks"][0]
            if not stack["StackStatus"].endswith("IN_PROGRESS"):
                break
            time.sleep(0.02)
        events = stacks.describe_stack_events(StackName=name)["StackEvents"]
        failures = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), failures
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    return run


def attribute(resource: str, name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [resource, name]}


VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}}
GROUP = {
    "Type": "AWS::EC2::SecurityGroup",
    "Properties": {"GroupDescription": "a group", "VpcId": {"Ref": "Vpc"}},
}


def test_a_network_is_recorded_as_the_template_says(deploy: Deploy, client: Callable[[str], Any]) -> None:
    subnet = {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.9.1.0/24", "AvailabilityZone": "eu-central-1a"}
    nat = {"SubnetId": {"Ref": "Subnet"}, "AllocationId": attribute("Address", "AllocationId")}
    flow_log = {
        "ResourceId": {"Ref": "Vpc"},
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogGroupName": "flows",
    }
    outputs = deploy(
        {
            "Vpc": VPC,
            "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": subnet},
            "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
            "Nat": {"Type": "AWS::EC2::NatGateway", "Properties": nat},
            "Flows": {"Type": "AWS::EC2::FlowLog", "Properties": flow_log},
        },
        {
            "Cidr": attribute("Vpc", "CidrBlock"),
            "Vpc": {"Ref": "Vpc"},
            "Nat": {"Ref": "Nat"},
            "Flows": {"Ref": "Flows"},
            "Address": {"Ref": "Address"},
        },
    )
    assert outputs["Cidr"] == "10.9.0.0/16"
    ec2 = client("ec2")
    gateway = ec2.describe_nat_gateways(NatGatewayIds=[outputs["Nat"]])["NatGateways"][0]
    assert (gateway["VpcId"], gateway["State"]) == (outputs["Vpc"], "available")
    logs = ec2.describe_flow_logs(FlowLogIds=[outputs["Flows"]])["FlowLogs"]
    assert [log["ResourceId"] for log in logs] == [outputs["Vpc"]]
    assert outputs["Address"] in {one["PublicIp"] for one in ec2.describe_addresses()["Addresses"]}


def test_a_route_reaches_the_firewall_endpoint_of_the_zone_it_names(
    deploy: Deploy, client: Callable[[str], Any]
) -> None:
    zones = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
    subnets = {
        f"Subnet{number}": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {
                "VpcId": {"Ref": "Vpc"}, "CidrBlock": f"10.9.{number}.0/28", "AvailabilityZone": zone,
            },
        }
        for number, zone in enumerate(zones)
    }  # fmt: skip
    firewall = {
        "FirewallName": "way-out",
        "FirewallPolicyArn": "policy",
        "VpcId": {"Ref": "Vpc"},
        "SubnetMappings": [{"SubnetId": {"Ref": name}} for name in subnets],
    }
    pairs = {"Fn::Join": [",", attribute("Firewall", "EndpointIds")]}
    after_zone = {"Fn::Select": [1, {"Fn::Split": [f"{zones[1]}:", pairs]}]}
    route = {
        "RouteTableId": {"Ref": "Table"},
        "DestinationCidrBlock": "0.0.0.0/0",
        "VpcEndpointId": {"Fn::Select": [0, {"Fn::Split": [",", after_zone]}]},
    }
    outputs = deploy(
        {
            "Vpc": VPC,
            **subnets,
            "Firewall": {"Type": "AWS::NetworkFirewall::Firewall", "Properties": firewall},
            "Table": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Vpc"}}},
            "Route": {"Type": "AWS::EC2::Route", "Properties": route},
        },
        {"Pairs": pairs, "Table": {"Ref": "Table"}},
    )
    listed = outputs["Pairs"].split(",")
    endpoints = dict(pair.split(":") for pair in listed)
    assert [pair.split(":")[0] for pair in listed] == sorted(zones, reverse=True)
    (table,) = client("ec2").describe_route_tables(RouteTableIds=[outputs["Table"]])["RouteTables"]
    (way_out,) = (one for one in table["Routes"] if one["DestinationCidrBlock"] == "0.0.0.0/0")
    assert endpoints[zones[1]] in way_out.values()


def test_rules_of_their_own_reach_their_security_group(deploy: Deploy, client: Callable[[str], Any]) -> None:
    rule = {"GroupId": {"Ref": "Group"}, "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    resources = {
        "Vpc": VPC,
        "Group": GROUP,
        "In": {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule | {"CidrIp": "10.0.0.0/8"}},
        "Out": {
            "Type": "AWS::EC2::SecurityGroupEgress",
            "Properties": rule | {"DestinationSecurityGroupId": {"Ref": "Group"}},
        },
    }
    group_id = deploy(resources, {"Group": {"Ref": "Group"}})["Group"]

    def described() -> Any:  # noqa: ANN401
        return client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]

    assert [one["IpRanges"][0]["CidrIp"] for one in described()["IpPermissions"]] == ["10.0.0.0/8"]
    targets = [
        pair["GroupId"] for one in described()["IpPermissionsEgress"] for pair in one["UserIdGroupPairs"]
    ]
    assert targets == [group_id]
    deploy({name: resources[name] for name in ("Vpc", "Group", "Out")})
    assert described()["IpPermissions"] == []


def test_a_guardrail_is_published_and_updated_with_its_policies(
    deploy: Deploy, client: Callable[[str], Any]
) -> None:
    def resources(strength: str) -> Template:
        hate = {"Type": "HATE", "InputStrength": strength, "OutputStrength": strength}
        properties = {
            "Name": "legal",
            "BlockedInputMessaging": "no",
            "BlockedOutputsMessaging": "no",
            "ContentPolicyConfig": {
                "FiltersConfig": [hate],
                "ContentFiltersTierConfig": {"TierName": "STANDARD"},
            },
        }
        version = {"GuardrailIdentifier": attribute("Guardrail", "GuardrailId"), "Description": strength}
        return {
            "Guardrail": {"Type": "AWS::Bedrock::Guardrail", "Properties": properties},
            "Version": {"Type": "AWS::Bedrock::GuardrailVersion", "Properties": version},
        }

    outputs = {"Id": attribute("Guardrail", "GuardrailId"), "Version": attribute("Version", "Version")}
    first = deploy(resources("HIGH"), outputs)
    assert first["Version"] == "1"
    second = deploy(resources("LOW"), outputs)
    assert second == {"Id": first["Id"], "Version": "2"}
    assert client("bedrock").get_guardrail(guardrailIdentifier=first["Id"])["name"] == "legal"


SECRET = {
    "Type": "AWS::SecretsManager::Secret",
    "Properties": {
        "GenerateSecretString": {
            "SecretStringTemplate": '{"previous": ""}',
            "GenerateStringKey": "current",
            "PasswordLength": 48,
            "ExcludePunctuation": True,
        }
    },
}


def test_a_generated_secret_is_drawn_as_asked_and_referred_to_by_arn(
    deploy: Deploy, client: Callable[[str], Any]
) -> None:
    arn = deploy({"Secret": SECRET}, {"Arn": {"Ref": "Secret"}})["Arn"]
    assert arn.startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:")
    value = json.loads(client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    assert value["previous"] == ""
    assert len(value["current"]) == 48
    assert set(value["current"]) <= set(string.ascii_letters + string.digits)


def test_an_update_of_a_secret_keeps_what_the_operator_set(
    deploy: Deploy, client: Callable[[str], Any]
) -> None:
    arn = deploy({"Secret": SECRET}, {"Arn": {"Ref": "Secret"}})["Arn"]
    client("secretsmanager").put_secret_value(SecretId=arn, SecretString="set by hand")
    described = {**SECRET, "Properties": {**SECRET["Properties"], "Description": "now described"}}  # type: ignore[dict-item]
    assert deploy({"Secret": described}, {"Arn": {"Ref": "Secret"}})["Arn"] == arn
    assert client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "set by hand"
    assert client("secretsmanager").describe_secret(SecretId=arn)["Description"] == "now described"


def test_a_secrets_policy_is_recorded(deploy: Deploy, client: Callable[[str], Any]) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
    policy = {
        "SecretId": {"Ref": "Secret"},
        "ResourcePolicy": {"Version": "2012-10-17", "Statement": [statement]},
    }
    arn = deploy(
        {"Secret": SECRET, "Policy": {"Type": "AWS::SecretsManager::ResourcePolicy", "Properties": policy}},
        {"Arn": {"Ref": "Secret"}},
    )["Arn"]
    found = json.loads(client("secretsmanager").get_resource_policy(SecretId=arn)["ResourcePolicy"])
    assert found["Statement"] == [statement]


def test_a_task_definition_keeps_its_health_check(deploy: Deploy, client: Callable[[str], Any]) -> None:
    container = {
        "Name": "gateway",
        "Image": "image",
        "Environment": [{"Name": "PORT", "Value": "8080"}],
        "HealthCheck": {"Command": ["CMD", "true"], "Interval": 10, "StartPeriod": 30},
        "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "logs"}},
    }
    properties = {"Family": "gateway", "ContainerDefinitions": [container]}
    task = {"Type": "AWS::ECS::TaskDefinition", "Properties": properties}
    arn = deploy({"Task": task}, {"Arn": {"Ref": "Task"}})["Arn"]
    definition = client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    found = definition["containerDefinitions"][0]
    assert found["healthCheck"] == {"command": ["CMD", "true"], "interval": 10, "startPeriod": 30}
    assert found["environment"] == [{"name": "PORT", "value": "8080"}]
    assert found["logConfiguration"]["options"] == {"awslogs-group": "logs"}


def test_a_serverless_cache_has_an_endpoint(deploy: Deploy) -> None:
    properties = {
        "ServerlessCacheName": "cache",
        "Engine": "valkey",
        "CacheUsageLimits": {"DataStorage": {"Maximum": 1, "Unit": "GB"}},
    }
    cache = {"Type": "AWS::ElastiCache::ServerlessCache", "Properties": properties}
    names = {"Port": "Endpoint.Port", "Address": "Endpoint.Address", "Arn": "ARN"}
    outputs = deploy({"Cache": cache}, {key: attribute("Cache", name) for key, name in names.items()})
    assert outputs["Port"] == "6379"
    assert outputs["Address"]
    assert outputs["Arn"].endswith(":serverlesscache:cache")


def test_alarms_may_compose_others_and_compute_metrics(deploy: Deploy, client: Callable[[str], Any]) -> None:
    base = {"EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold"}
    metric = {
        "Id": "a",
        "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"},
    }
    simple = base | {
        "AlarmName": "simple",
        "Namespace": "n",
        "MetricName": "m",
        "Period": 60,
        "Statistic": "Sum",
    }
    rate = {"Id": "rate", "Expression": "a / 60", "ReturnData": True}
    computed = base | {"AlarmName": "computed", "Metrics": [metric | {"ReturnData": False}, rate]}
    composite = {"AlarmName": "both", "AlarmRule": {"Fn::Sub": "ALARM(${Simple}) OR ALARM(${Computed})"}}
    deploy(
        {
            "Simple": {"Type": "AWS::CloudWatch::Alarm", "Properties": simple},
            "Computed": {"Type": "AWS::CloudWatch::Alarm", "Properties": computed},
            "Both": {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": composite},
        }
    )
    alarms = client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert {alarm["AlarmName"] for alarm in alarms["MetricAlarms"]} == {"simple", "computed"}
    assert [alarm["AlarmRule"] for alarm in alarms["CompositeAlarms"]] == ["ALARM(simple) OR ALARM(computed)"]


def test_a_web_acl_is_associated_with_its_load_balancer(deploy: Deploy, client: Callable[[str], Any]) -> None:
    visibility = {"CloudWatchMetricsEnabled": True, "SampledRequestsEnabled": True, "MetricName": "acl"}
    acl = {"Scope": "REGIONAL", "DefaultAction": {"Allow": {}}, "VisibilityConfig": visibility, "Rules": []}
    resource = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/gateway/1"
    association = {"ResourceArn": resource, "WebACLArn": attribute("Acl", "Arn")}
    outputs = deploy(
        {
            "Acl": {"Type": "AWS::WAFv2::WebACL", "Properties": acl},
            "Guards": {"Type": "AWS::WAFv2::WebACLAssociation", "Properties": association},
        },
        {"Arn": attribute("Acl", "Arn")},
    )
    found = client("wafv2").get_web_acl_for_resource(ResourceArn=resource)["WebACL"]
    assert found["ARN"] == outputs["Arn"]


def test_an_accepted_type_returns_what_aws_would(deploy: Deploy) -> None:
    target = {
        "MinCapacity": 1,
        "MaxCapacity": 3,
        "ResourceId": "service/cluster/gateway",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ServiceNamespace": "ecs",
    }
    policy = {
        "PolicyName": "cpu",
        "PolicyType": "TargetTrackingScaling",
        "ScalingTargetId": {"Ref": "Target"},
    }
    outputs = deploy(
        {
            "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": target},
            "Policy": {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": policy},
        },
        {"Target": {"Ref": "Target"}, "Policy": attribute("Policy", "Arn")},
    )
    assert outputs["Target"] == "service/cluster/gateway|ecs:service:DesiredCount|ecs"
    assert outputs["Policy"].startswith(f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:")
    assert outputs["Policy"].endswith("policyName/cpu")


def test_an_unknown_type_stays_refused(client: Callable[[str], Any]) -> None:
    body = json.dumps({"Resources": {"Tower": {"Type": "AWS::Babel::Tower"}}})
    with pytest.raises(ClientError, match=r"AWS::Babel::Tower"):
        client("cloudformation").create_stack(StackName="babel", TemplateBody=body)


def test_an_unknown_image_is_an_error_so_that_it_gets_built(client: Callable[[str], Any]) -> None:
    ecr = client("ecr")
    ecr.create_repository(repositoryName="assets")
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName="assets", imageIds=[{"imageTag": "missing"}])
    ecr.put_image(repositoryName="assets", imageTag="there", imageManifest="{}")
    assert ecr.describe_images(repositoryName="assets", imageIds=[{"imageTag": "there"}])["imageDetails"]


def test_a_role_may_do_what_its_policy_says_and_nothing_else(
    deploy: Deploy, client: Callable[[str], Any], account: Account
) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    allowed = {
        "Effect": "Allow",
        "Action": ["ssm:GetParameter", "ssm:GetParametersByPath"],
        "Resource": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/flags",
        "Condition": {"Bool": {"aws:SecureTransport": "true"}},
    }
    policy = {"PolicyName": "flags", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allowed]}}
    role = {"AssumeRolePolicyDocument": trust, "Policies": [policy]}
    outputs = deploy(
        {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}, {"Arn": attribute("Role", "Arn")}
    )
    given = client("sts").assume_role(RoleArn=outputs["Arn"], RoleSessionName="task")["Credentials"]
    client("ssm").put_parameter(Name="/flags/stage", Value="off", Type="String")
    ssm = boto3.client(
        "ssm",
        region_name=REGION,
        endpoint_url=account.endpoint_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    assert [one["Value"] for one in ssm.get_parameters_by_path(Path="/flags")["Parameters"]] == ["off"]
    for refused in (
        lambda: ssm.get_parameters_by_path(Path="/"),
        lambda: ssm.get_parameter(Name="/other"),
        lambda: ssm.put_parameter(Name="/flags", Value="on", Type="String"),
    ):
        with pytest.raises(ClientError, match="not authorized"):
            refused()


def test_an_unknown_key_is_nobody(account: Account) -> None:
    stranger = boto3.client(
        "ssm",
        region_name=REGION,
        endpoint_url=account.endpoint_url,
        aws_access_key_id="AKIASTRANGER00000000",
        aws_secret_access_key="secret",
    )
    with pytest.raises(ClientError, match="security token"):
        stranger.describe_parameters()
