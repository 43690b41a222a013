"""The Network stack: tiers, ways out, endpoints, and the record of traffic."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from stacks.network import NetworkStack
from stacks.settings import Environment, Firewall
from tests.stacks.synthesis import Resource, Synthesis, load_environment, new_app

TIERS = ("public", "private", "isolated")

INTERFACE_ENDPOINTS = {
    "bedrock-runtime",
    "logs",
    "secretsmanager",
    "ssm",
    "ecr.api",
    "ecr.dkr",
    "appconfigdata",
    "kinesis-firehose",
    "kms",
    "monitoring",
    "sts",
}


def tier_of(subnet: Resource) -> str:
    return str(tags_of(subnet)["aws-cdk:subnet-name"])


def tags_of(resource: Resource) -> dict[str, Any]:
    return {tag["Key"]: tag["Value"] for tag in resource.properties["Tags"]}


def subnets(synthesis: Synthesis, tier: str | None = None) -> list[Resource]:
    return [
        subnet
        for subnet in synthesis.resources("AWS::EC2::Subnet", "Network")
        if tier in (None, tier_of(subnet))
    ]


def endpoints(synthesis: Synthesis, kind: str) -> dict[str, Resource]:
    """By the last part of the service's name."""
    found = {}
    for endpoint in synthesis.resources("AWS::EC2::VPCEndpoint", "Network"):
        if endpoint.properties["VpcEndpointType"] == kind:
            name = endpoint.properties["ServiceName"]
            text = name if isinstance(name, str) else name["Fn::Join"][1][-1]
            found[text.removeprefix("com.amazonaws.eu-central-1").removeprefix(".")] = endpoint
    return found


def routes_from(synthesis: Synthesis, tier: str) -> list[Resource]:
    return [
        route
        for route in synthesis.resources("AWS::EC2::Route", "Network")
        if f"Vpc{tier}Subnet" in route.properties["RouteTableId"]["Ref"]
    ]


def traffic_logs(synthesis: Synthesis) -> list[dict[str, str]]:
    return [{"Ref": group.logical_id} for group in synthesis.resources("AWS::Logs::LogGroup", "Network")]


def network_of(environment: Environment, directory: Path) -> list[str]:
    """Addresses of the subnets."""
    app = new_app(directory)
    stack = NetworkStack(app, "Network", environment=environment)
    return [
        subnet.ipv4_cidr_block
        for subnet in (*stack.vpc.public_subnets, *stack.vpc.private_subnets, *stack.vpc.isolated_subnets)
    ]


def test_every_tier_has_a_subnet_in_every_zone(every_environment: Synthesis) -> None:
    settings = every_environment.environment
    zones = list(settings.deployment.availability_zones)

    for tier in (*TIERS, *(["firewall"] if settings.network.firewall.enabled else [])):
        found = sorted(subnet.properties["AvailabilityZone"] for subnet in subnets(every_environment, tier))
        assert found == zones


def test_no_subnet_gives_public_addresses(every_environment: Synthesis) -> None:
    assert [
        subnet.name
        for subnet in subnets(every_environment)
        if subnet.properties["MapPublicIpOnLaunch"] is not False
    ] == []


def test_neither_a_third_zone_nor_the_firewall_renumbers_a_subnet(tmp_path: Path) -> None:
    two = load_environment("development")
    deployment = two.deployment.model_copy(
        update={"availability_zones": ("eu-central-1a", "eu-central-1b", "eu-central-1c")}
    )
    three = two.model_copy(update={"deployment": deployment})
    behind_a_firewall = three.model_copy(
        update={
            "network": two.network.model_copy(update={"nat_gateways": 3, "firewall": Firewall(enabled=True)})
        }
    )

    addresses = [
        network_of(environment, tmp_path / str(number))
        for number, environment in enumerate((two, three, behind_a_firewall))
    ]

    assert set(addresses[0]) < set(addresses[1]) < set(addresses[2])
    assert [len(network) for network in addresses] == [6, 9, 12]


def test_the_smallest_range_the_settings_allow_holds_every_tier(tmp_path: Path) -> None:
    environment = load_environment("production")
    small = environment.network.model_copy(update={"cidr": "10.30.0.0/20"})

    assert len(network_of(environment.model_copy(update={"network": small}), tmp_path)) == 12


def test_there_are_as_many_nat_gateways_as_the_settings_say(every_environment: Synthesis) -> None:
    gateways = every_environment.resources("AWS::EC2::NatGateway", "Network")

    assert len(gateways) == every_environment.environment.network.nat_gateways


def test_the_isolated_tier_has_no_way_out(every_environment: Synthesis) -> None:
    assert len(routes_from(every_environment, "private")) >= 2
    assert routes_from(every_environment, "isolated") == []


def test_the_services_the_gateway_calls_have_addresses_in_the_isolated_tier(
    every_environment: Synthesis,
) -> None:
    found = endpoints(every_environment, "Interface")
    isolated = {subnet.logical_id for subnet in subnets(every_environment, "isolated")}

    assert set(found) == INTERFACE_ENDPOINTS
    for endpoint in found.values():
        assert endpoint.properties["PrivateDnsEnabled"] is True
        assert {subnet["Ref"] for subnet in endpoint.properties["SubnetIds"]} == isolated


def test_nobody_reaches_the_endpoints_by_their_own_stack(every_environment: Synthesis) -> None:
    """Who may, says so with both ends: see `test_security_groups.py`."""
    (group,) = every_environment.resources("AWS::EC2::SecurityGroup", "Network")

    assert "SecurityGroupIngress" not in group.properties
    assert [rule["CidrIp"] for rule in group.properties["SecurityGroupEgress"]] == ["255.255.255.255/32"]
    for endpoint in endpoints(every_environment, "Interface").values():
        assert endpoint.properties["SecurityGroupIds"] == [{"Fn::GetAtt": [group.logical_id, "GroupId"]}]


def test_objects_and_tables_are_reached_without_leaving_the_network(every_environment: Synthesis) -> None:
    found = endpoints(every_environment, "Gateway")

    assert set(found) == {"s3", "dynamodb"}
    for endpoint in found.values():
        tables = [table["Ref"] for table in endpoint.properties["RouteTableIds"]]
        assert len(tables) == len(subnets(every_environment, "private"))
        assert all("private" in table for table in tables)


def test_all_traffic_is_recorded(every_environment: Synthesis) -> None:
    flow_log = every_environment.only("AWS::EC2::FlowLog", "Network")
    vpcs = every_environment.resources("AWS::EC2::VPC")

    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["ResourceType"] == "VPC"
    assert [{"Ref": vpc.logical_id} for vpc in vpcs] == [flow_log["ResourceId"]]
    assert flow_log["LogGroupName"] in traffic_logs(every_environment)


def test_the_record_of_traffic_is_encrypted_and_kept_as_long_as_the_settings_say(
    every_environment: Synthesis,
) -> None:
    settings = every_environment.environment
    log_groups = every_environment.resources("AWS::Logs::LogGroup", "Network")

    assert len(log_groups) == (4 if settings.network.firewall.enabled else 2)
    for log_group in log_groups:
        assert log_group.properties["RetentionInDays"] == settings.network.flow_log_retention_days
        assert "FlowLogKey" in log_group.properties["KmsKeyId"]["Fn::GetAtt"][0], log_group.name


def test_the_record_of_traffic_outlives_its_stack_in_production_alone(
    production: Synthesis, development: Synthesis
) -> None:
    for synthesis, policy in ((production, "Retain"), (development, "Delete")):
        for log_group in synthesis.resources("AWS::Logs::LogGroup", "Network"):
            assert log_group.body["DeletionPolicy"] == policy


def test_no_function_is_needed_to_build_the_network(every_environment: Synthesis) -> None:
    types = {resource.type for resource in every_environment.resources(stack="Network")}

    assert not {kind for kind in types if kind.startswith(("Custom::", "AWS::Lambda::"))}


def test_nothing_is_put_into_the_default_security_group(every_environment: Synthesis) -> None:
    for endpoint in endpoints(every_environment, "Interface").values():
        assert endpoint.properties["SecurityGroupIds"]
    for resource in every_environment.resources():
        assert "DefaultSecurityGroup" not in str(resource.properties), resource.name


def test_settings_and_networks_of_environments_do_not_overlap() -> None:
    ranges = [
        ipaddress.IPv4Network(load_environment(name).network.cidr)
        for name in ("local", "development", "staging", "production")
    ]

    assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)
