"""Packets leave through the firewall and NAT gateway of their own zone, and answers come back that way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

import pytest

from stacks.settings import Environment
from tests.stacks.network_paths import BEHIND_THE_FIREWALL, WITHOUT_FIREWALL, Design, Network
from tests.stacks.synthesis import Resource, Synthesis, load_environment, synthesise

ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")


def in_zones(environment: Environment, number: int, *, firewall: bool = True, nats: int = 0) -> Environment:
    """The environment in the first `number` zones; the settings themselves demand two at least."""
    network = environment.network
    return environment.model_copy(
        update={
            "deployment": environment.deployment.model_copy(update={"availability_zones": ZONES[:number]}),
            "network": network.model_copy(
                update={
                    "nat_gateways": nats or number,
                    "firewall": network.firewall.model_copy(update={"enabled": firewall}),
                }
            ),
        }
    )


@pytest.fixture(scope="module")
def app_in_zones(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, bool], Synthesis]:
    known: dict[tuple[int, bool], Synthesis] = {}

    def once(number: int, firewall: bool) -> Synthesis:
        if (number, firewall) not in known:
            environment = in_zones(load_environment("production"), number, firewall=firewall)
            known[number, firewall] = synthesise(environment, tmp_path_factory.mktemp("app") / "out")
        return known[number, firewall]

    return once


def violations(design: Design, resources: list[Resource], zones: tuple[str, ...]) -> list[str]:
    """What is wrong in any order in which CloudFormation may give the endpoints."""
    return sorted(
        {
            violation
            for order in permutations(zones)
            for violation in design.violations(Network(resources, order))
        }
    )


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_zone_leaves_and_returns_through_its_own_firewall_endpoint_and_nat_gateway(
    app_in_zones: Callable[[int, bool], Synthesis], number: int
) -> None:
    resources = app_in_zones(number, True).resources()

    assert len(Network(resources, ZONES).subnets) == 4 * number
    found = violations(BEHIND_THE_FIREWALL, resources, ZONES[:number])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("number", [1, 3])
def test_without_the_firewall_every_zone_leaves_through_its_own_nat_gateway(
    app_in_zones: Callable[[int, bool], Synthesis], number: int
) -> None:
    resources = app_in_zones(number, False).resources()

    assert len(Network(resources, ZONES).subnets) == 3 * number
    found = violations(WITHOUT_FIREWALL, resources, ZONES[:number])
    assert not found, "\n".join(found)


def test_every_declared_environment_has_the_ways_that_its_settings_say(every_environment: Synthesis) -> None:
    settings = every_environment.environment
    zones = settings.deployment.availability_zones
    design = BEHIND_THE_FIREWALL if settings.network.firewall.enabled else WITHOUT_FIREWALL
    found = violations(design, every_environment.resources(), zones)

    if settings.network.nat_gateways < len(zones):
        # One NAT gateway for all: the other zones leave through its zone, and nothing else is amiss.
        found = [one for one in found if "through eu-central-1a, not through its own zone" not in one]
    assert not found, "\n".join(found)


def test_development_has_one_nat_gateway_and_no_firewall(development: Synthesis) -> None:
    assert len(development.resources("AWS::EC2::NatGateway")) == 1
    assert development.resources("AWS::NetworkFirewall::Firewall") == []


def test_switching_the_firewall_changes_the_ways_out_in_place(
    app_in_zones: Callable[[int, bool], Synthesis],
) -> None:
    """Two routes to one destination cannot be deployed at once, so the firewall must not bring a second."""

    def ways_out(synthesis: Synthesis) -> dict[str, Any]:
        return {
            route.logical_id: route.properties["RouteTableId"]["Ref"]
            for route in synthesis.resources("AWS::EC2::Route")
            if route.properties["DestinationCidrBlock"] == "0.0.0.0/0"
        }

    with_firewall, without = ways_out(app_in_zones(3, True)), ways_out(app_in_zones(3, False))

    assert without.items() < with_firewall.items()


# ---- the walk itself finds what it is for ----


def changed(synthesis: Synthesis, logical_id: str, change: Mapping[str, Any]) -> list[Resource]:
    """The resources, of which one has other properties; those set to None are gone."""
    resources = []
    for resource in synthesis.resources():
        body = copy.deepcopy(dict(resource.body))
        if resource.logical_id == logical_id:
            properties = {**body["Properties"], **change}
            body["Properties"] = {key: value for key, value in properties.items() if value is not None}
        resources.append(Resource(resource.stack, resource.logical_id, body))
    return resources


def route(synthesis: Synthesis, part: str) -> Resource:
    (found,) = (one for one in synthesis.resources("AWS::EC2::Route") if one.logical_id.startswith(part))
    return found


def test_a_way_out_through_another_zones_endpoint_is_found(production: Synthesis) -> None:
    here, other = (route(production, f"VpcprivateSubnet{number}DefaultRoute") for number in (1, 2))
    resources = changed(production, here.logical_id, {"VpcEndpointId": other.properties["VpcEndpointId"]})

    found = violations(BEHIND_THE_FIREWALL, resources, ZONES)

    assert any(here.logical_id in one and "eu-central-1b" in one and "privateSubnet1" in one for one in found)


def test_a_way_back_through_another_zones_endpoint_is_found(production: Synthesis) -> None:
    here, other = (route(production, f"VpcpublicSubnet{number}ReturnRoute") for number in (1, 2))
    resources = changed(production, here.logical_id, {"VpcEndpointId": other.properties["VpcEndpointId"]})

    found = violations(BEHIND_THE_FIREWALL, resources, ZONES)

    assert any(here.logical_id in one and "gets answers" in one and "eu-central-1b" in one for one in found)


def test_a_way_past_the_firewall_is_found(production: Synthesis) -> None:
    here = route(production, "VpcprivateSubnet1DefaultRoute")
    (gateway, *_) = production.resources("AWS::EC2::NatGateway")
    resources = changed(
        production, here.logical_id, {"VpcEndpointId": None, "NatGatewayId": {"Ref": gateway.logical_id}}
    )

    (found,) = violations(BEHIND_THE_FIREWALL, resources, ZONES)

    assert here.logical_id in found
    assert "must leave by firewall → nat → internet" in found


def test_answers_that_miss_the_firewall_are_found(production: Synthesis) -> None:
    here = route(production, "VpcpublicSubnet3ReturnRoute")
    resources = [one for one in production.resources() if one.logical_id != here.logical_id]

    found = violations(BEHIND_THE_FIREWALL, resources, ZONES)

    assert any("come back from the NAT gateway" in one and "eu-central-1c" in one for one in found)


def test_answers_for_half_a_subnet_that_miss_the_firewall_are_found(production: Synthesis) -> None:
    here = route(production, "VpcpublicSubnet1ReturnRoute")
    resources = changed(production, here.logical_id, {"DestinationCidrBlock": "10.30.0.0/21"})

    assert any("10.30.15.254" in one for one in violations(BEHIND_THE_FIREWALL, resources, ZONES))


def test_a_firewall_subnet_that_leaves_by_another_zones_nat_gateway_is_found(production: Synthesis) -> None:
    here = route(production, "VpcfirewallSubnet1DefaultRoute")
    other = route(production, "VpcfirewallSubnet2DefaultRoute")
    resources = changed(production, here.logical_id, {"NatGatewayId": other.properties["NatGatewayId"]})

    found = violations(BEHIND_THE_FIREWALL, resources, ZONES)

    assert any(here.logical_id in one and "through eu-central-1b" in one for one in found)


def test_a_way_out_of_the_isolated_tier_is_found(production: Synthesis) -> None:
    way_out = route(production, "VpcpublicSubnet1DefaultRoute")
    resources = production.resources()
    table = Network(resources, ZONES).route_tables[
        next(name for name in Network(resources, ZONES).subnets if "isolatedSubnet1" in name)
    ]
    body = {**way_out.body, "Properties": {**way_out.properties, "RouteTableId": {"Ref": table}}}

    (found,) = violations(BEHIND_THE_FIREWALL, [*resources, Resource("Network", "Leak", body)], ZONES)

    assert "isolatedSubnet1" in found
    assert "Leak" in found


def test_an_endpoint_picked_by_its_place_in_the_list_is_found(production: Synthesis) -> None:
    """The list has no order, so a pick that happens to be right today is wrong tomorrow."""
    here = route(production, "VpcprivateSubnet1DefaultRoute")
    (firewall,) = production.resources("AWS::NetworkFirewall::Firewall")
    first = {"Fn::Select": [0, {"Fn::GetAtt": [firewall.logical_id, "EndpointIds"]}]}
    by_place = {"Fn::Select": [1, {"Fn::Split": [":", first]}]}
    resources = changed(production, here.logical_id, {"VpcEndpointId": by_place})

    assert any(here.logical_id in one for one in violations(BEHIND_THE_FIREWALL, resources, ZONES))
