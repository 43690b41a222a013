"""Who may talk to whom, over all stacks: both ends are named, and one way leads out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.stacks.synthesis import Synthesis, load_environment, synthesise

ANYWHERE = "0.0.0.0/0"
NOWHERE = "255.255.255.255/32"
"""What the CDK writes for a group that may reach nothing."""


@dataclass(frozen=True)
class Rule:
    """One direction of one permission; `group` and `peer` are construct paths or address ranges."""

    name: str
    direction: str
    group: str
    peer: str
    ports: tuple[int, int]

    def mirrored(self) -> tuple[str, str, str, tuple[int, int]]:
        """What the other end must have."""
        other = "in" if self.direction == "out" else "out"
        return other, self.peer, self.group, self.ports

    def facts(self) -> tuple[str, str, str, tuple[int, int]]:
        return self.direction, self.group, self.peer, self.ports


def group_path(synthesis: Synthesis, stack: str, reference: Any) -> str:  # noqa: ANN401  (a template's)
    """The construct path of a group, whether it stands in this template or in another one."""
    if "Fn::GetStackOutput" in reference:
        source = reference["Fn::GetStackOutput"]
        output = source["OutputName"] if isinstance(source, dict) else source[1]
        for other, template in synthesis.templates.items():
            if output in template.get("Outputs", {}):
                return group_path(synthesis, other, template["Outputs"][output]["Value"])
        raise AssertionError(f"no template has the output {output}")
    logical_id = reference["Fn::GetAtt"][0]
    path: str = synthesis.templates[stack]["Resources"][logical_id]["Metadata"]["aws:cdk:path"]
    return path.removesuffix("/Resource")


def rules(synthesis: Synthesis) -> Iterator[Rule]:
    """Every rule, whether it stands inside its group or by itself."""
    for group in synthesis.resources("AWS::EC2::SecurityGroup"):
        own = group.body["Metadata"]["aws:cdk:path"].removesuffix("/Resource")
        for direction in ("Ingress", "Egress"):
            for rule in group.properties.get(f"SecurityGroup{direction}", []):
                if rule.get("CidrIp") != NOWHERE:
                    yield _rule(synthesis, group.name, group.stack, direction, own, rule)
    for direction in ("Ingress", "Egress"):
        for resource in synthesis.resources(f"AWS::EC2::SecurityGroup{direction}"):
            own = group_path(synthesis, resource.stack, resource.properties["GroupId"])
            yield _rule(synthesis, resource.name, resource.stack, direction, own, resource.properties)


def _rule(
    synthesis: Synthesis, name: str, stack: str, direction: str, group: str, properties: Mapping[str, Any]
) -> Rule:
    other = properties.get("SourceSecurityGroupId") or properties.get("DestinationSecurityGroupId")
    assert properties["IpProtocol"] == "tcp", f"{name} is not for TCP alone"
    return Rule(
        name=name,
        direction="in" if direction == "Ingress" else "out",
        group=group,
        peer=group_path(synthesis, stack, other) if other else properties["CidrIp"],
        ports=(properties["FromPort"], properties["ToPort"]),
    )


@pytest.fixture(scope="module")
def blue_green(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    production = load_environment("production")
    release = production.release.model_copy(update={"strategy": type(production.release.strategy).BLUE_GREEN})
    environment = production.model_copy(update={"release": release})
    return synthesise(environment, tmp_path_factory.mktemp("blue-green") / "out")


def one_sided(synthesis: Synthesis) -> list[Rule]:
    """Rules between groups of which the other group knows nothing."""
    known = list(rules(synthesis))
    facts = {rule.facts() for rule in known}
    return [rule for rule in known if not _is_range(rule) and rule.mirrored() not in facts]


def _is_range(rule: Rule) -> bool:
    return rule.peer[0].isdigit()


def test_both_ends_are_named_wherever_both_are_ours(every_environment: Synthesis) -> None:
    assert one_sided(every_environment) == []


def test_both_ends_are_named_where_a_smoke_test_runs(blue_green: Synthesis) -> None:
    assert one_sided(blue_green) == []
    assert any("SmokeTest" in rule.group for rule in rules(blue_green))


def test_addresses_stand_only_for_callers_and_for_the_way_out(every_environment: Synthesis) -> None:
    by_address = {
        (rule.direction, rule.group.split("/")[-1], rule.peer, rule.ports)
        for rule in rules(every_environment)
        if _is_range(rule)
    }
    settings = every_environment.environment
    front_door_port = 443 if settings.gateway.certificate_arn else 80

    assert by_address == {
        ("in", "SecurityGroup", settings.network.cidr, (front_door_port, front_door_port)),
        ("out", "TaskSecurityGroup", ANYWHERE, (443, 443)),
        ("out", "RotationSecurityGroup", ANYWHERE, (443, 443)),
    }


def test_what_may_go_anywhere_stands_where_every_way_out_is_the_firewall(production: Synthesis) -> None:
    """The routes of these subnets are walked in `test_network_routes.py`."""
    free = {rule.group for rule in rules(production) if rule.peer == ANYWHERE}
    service = production.only("AWS::ECS::Service")
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]

    assert free == {"Gateway/TaskSecurityGroup", "Secrets/RotationSecurityGroup"}
    assert network["AssignPublicIp"] == "DISABLED"
    assert len(network["Subnets"]) == 3
    assert "privateSubnet" in str(network["Subnets"])
    (rotation,) = (
        function.properties["VpcConfig"]["SubnetIds"]
        for function in production.resources("AWS::Lambda::Function", "Secrets")
    )
    assert rotation == network["Subnets"]
    for kind in ("public", "isolated", "firewall"):
        assert f"{kind}Subnet" not in str(network["Subnets"])


def test_tasks_reach_the_endpoints_the_cache_and_nobody_else(every_environment: Synthesis) -> None:
    reached = {
        (rule.peer, rule.ports)
        for rule in rules(every_environment)
        if rule.group == "Gateway/TaskSecurityGroup" and rule.direction == "out"
    }

    assert reached == {
        (ANYWHERE, (443, 443)),
        ("Network/Endpoints/SecurityGroup", (443, 443)),
        ("Cache/Valkey/SecurityGroup", (6379, 6380)),
    }


def test_the_load_balancer_reaches_tasks_on_their_port_alone(every_environment: Synthesis) -> None:
    inward = {
        (rule.peer, rule.ports)
        for rule in rules(every_environment)
        if rule.group == "Gateway/TaskSecurityGroup" and rule.direction == "in"
    }

    assert inward == {("Gateway/FrontDoor/SecurityGroup", (8080, 8080))}


def test_nobody_else_reaches_the_endpoints_and_the_cache(every_environment: Synthesis) -> None:
    reaching = {
        rule.group
        for rule in rules(every_environment)
        if rule.direction == "out" and rule.peer.startswith(("Network/", "Cache/"))
    }

    assert reaching == {"Gateway/TaskSecurityGroup", "Secrets/RotationSecurityGroup"}


def test_the_rotation_reaches_the_endpoints_and_the_way_out(every_environment: Synthesis) -> None:
    reached = {
        (rule.direction, rule.peer, rule.ports)
        for rule in rules(every_environment)
        if rule.group == "Secrets/RotationSecurityGroup"
    }

    assert reached == {
        ("out", ANYWHERE, (443, 443)),
        ("out", "Network/Endpoints/SecurityGroup", (443, 443)),
    }


def test_tasks_start_when_their_ways_are_open(production: Synthesis) -> None:
    (service,) = production.resources("AWS::ECS::Service")
    own_rules = {
        resource.logical_id
        for kind in ("Ingress", "Egress")
        for resource in production.resources(f"AWS::EC2::SecurityGroup{kind}", "Gateway")
        if resource.logical_id.startswith("TaskSecurityGroup")
    }

    assert own_rules
    assert own_rules <= set(service.body["DependsOn"])
