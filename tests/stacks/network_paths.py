"""Walks the route tables of a synthesised app, as packets would, and says where they go wrong.

Endpoint ids of the firewall are made up in a given order, and the templates' intrinsic functions are
evaluated on them: what is judged is the route that CloudFormation would deploy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.stacks.synthesis import Resource

INTERNET = ipaddress.IPv4Address("198.51.100.7")
"""An address outside, of a range that is reserved for examples."""

MOST_HOPS = 6


@dataclass(frozen=True)
class Subnet:
    """A subnet, its zone and its tier."""

    name: str
    zone: str
    tier: str
    range: ipaddress.IPv4Network

    def __str__(self) -> str:
        return f"subnet {self.name} ({self.tier}, {self.zone})"


@dataclass(frozen=True)
class Hop:
    """One step of a packet: the route that was taken, and what it leads to.

    `kind` is local, internet, nat, firewall, or the property of another target; `zone` that of a NAT gateway
    or firewall endpoint.
    """

    route: str
    kind: str
    zone: str | None = None
    lands_in: Subnet | None = None

    def __str__(self) -> str:
        return f"route {self.route} to {self.kind}{f' in {self.zone}' if self.zone else ''}"


class Network:
    """The subnets and routes of all templates, with endpoint ids in the order of `zone_order`."""

    def __init__(self, resources: Sequence[Resource], zone_order: Sequence[str]) -> None:
        self._resources = {resource.logical_id: resource for resource in resources}
        self._endpoint_ids = [f"{zone}:vpce-{zone}" for zone in zone_order]

    def of_type(self, type_name: str) -> list[Resource]:
        return [resource for resource in self._resources.values() if resource.type == type_name]

    @cached_property
    def subnets(self) -> dict[str, Subnet]:
        return {
            resource.logical_id: Subnet(
                name=resource.logical_id,
                zone=resource.properties["AvailabilityZone"],
                tier=next(
                    tag["Value"] for tag in resource.properties["Tags"] if tag["Key"] == "aws-cdk:subnet-name"
                ),
                range=ipaddress.IPv4Network(resource.properties["CidrBlock"]),
            )
            for resource in self.of_type("AWS::EC2::Subnet")
        }

    @cached_property
    def route_tables(self) -> dict[str, str]:
        """The route table of each subnet."""
        tables: dict[str, str] = {}
        for association in self.of_type("AWS::EC2::SubnetRouteTableAssociation"):
            subnet = association.properties["SubnetId"]["Ref"]
            assert subnet not in tables, f"{subnet} has two route tables"
            tables[subnet] = association.properties["RouteTableId"]["Ref"]
        return tables

    def routes(self, route_table: str) -> list[Resource]:
        return [
            route
            for route in self.of_type("AWS::EC2::Route")
            if route.properties["RouteTableId"]["Ref"] == route_table
        ]

    def subnet_of_firewall_in(self, zone: str) -> Subnet:
        (firewall,) = self.of_type("AWS::NetworkFirewall::Firewall")
        (found,) = (
            subnet
            for mapping in firewall.properties["SubnetMappings"]
            if (subnet := self.subnets[mapping["SubnetId"]["Ref"]]).zone == zone
        )
        return found

    def value(self, expression: Any) -> Any:  # noqa: ANN401  (a template's)
        """What CloudFormation makes of an expression; references stay what they are."""
        if not isinstance(expression, dict) or len(expression) != 1:
            return expression
        ((function, argument),) = expression.items()
        if function == "Fn::GetAtt" and argument[1] == "EndpointIds":
            return self._endpoint_ids
        if function == "Fn::Join":
            return argument[0].join(self.value(argument[1]))
        if function == "Fn::Split":
            return self.value(argument[1]).split(argument[0])
        if function == "Fn::Select":
            return self.value(argument[1])[int(argument[0])]
        return expression

    def hop(self, subnet: Subnet, destination: ipaddress.IPv4Address) -> Hop | None:
        """The route that a packet in `subnet` takes: the most specific one; none where there is none."""
        candidates = [(self._local_range, Hop("(local)", "local", lands_in=self._subnet_at(destination)))]
        candidates += [
            (ipaddress.IPv4Network(route.properties["DestinationCidrBlock"]), self.target(route))
            for route in self.routes(self.route_tables[subnet.name])
        ]
        fitting = [(range_, hop) for range_, hop in candidates if destination in range_]
        return max(fitting, key=lambda one: one[0].prefixlen)[1] if fitting else None

    def target(self, route: Resource) -> Hop:
        properties: Mapping[str, Any] = route.properties
        name = route.logical_id
        if "GatewayId" in properties:
            return Hop(name, "internet")
        if "NatGatewayId" in properties:
            gateway = self._resources[properties["NatGatewayId"]["Ref"]]
            subnet = self.subnets[gateway.properties["SubnetId"]["Ref"]]
            return Hop(name, "nat", subnet.zone, subnet)
        if "VpcEndpointId" in properties:
            zone = str(self.value(properties["VpcEndpointId"])).removeprefix("vpce-")
            return Hop(name, "firewall", zone, self.subnet_of_firewall_in(zone))
        (kind,) = set(properties) - {"DestinationCidrBlock", "RouteTableId"}
        return Hop(name, kind)

    def path(self, start: Subnet, destination: ipaddress.IPv4Address) -> list[Hop]:
        """The hops from `start` until the packet is delivered, leaves or is lost."""
        hops: list[Hop] = []
        subnet = start
        while len(hops) < MOST_HOPS:
            hop = self.hop(subnet, destination)
            if hop is None:
                break
            hops.append(hop)
            if hop.kind == "local" or hop.lands_in is None:
                break
            subnet = hop.lands_in
        return hops

    @cached_property
    def _local_range(self) -> ipaddress.IPv4Network:
        (vpc,) = self.of_type("AWS::EC2::VPC")
        return ipaddress.IPv4Network(vpc.properties["CidrBlock"])

    def _subnet_at(self, address: ipaddress.IPv4Address) -> Subnet | None:
        return next((subnet for subnet in self.subnets.values() if address in subnet.range), None)


@dataclass(frozen=True)
class Design:
    """The path that each tier is meant to have to the internet: kinds of hops, in order."""

    ways_out: Mapping[str, tuple[str, ...]]

    def violations(self, network: Network) -> Iterator[str]:
        """What is wrong, each with subnet, route and zone."""
        for subnet in network.subnets.values():
            yield from self._on_the_way_out(network, subnet)
        yield from _surprising_gateways(network)

    def _on_the_way_out(self, network: Network, subnet: Subnet) -> Iterator[str]:
        expected = self.ways_out[subnet.tier]
        out = network.path(subnet, INTERNET)
        if tuple(hop.kind for hop in out) != expected:
            wanted = " → ".join(expected) or "nothing"
            yield f"{subnet} leaves by {_described(out)}; it must leave by {wanted}"
            return
        yield from _crossings(subnet, out, "leaves")
        if subnet.tier == "private":
            for address in (subnet.range[1], subnet.range[-2]):
                yield from _on_the_way_back(network, subnet, out, address)


def _on_the_way_back(
    network: Network, subnet: Subnet, out: Sequence[Hop], address: ipaddress.IPv4Address
) -> Iterator[str]:
    """The NAT gateway gets the answer and sends it on as its own subnet's routes say."""
    (gateway,) = (hop.lands_in for hop in out if hop.kind == "nat")
    assert gateway is not None
    back = network.path(gateway, address)
    mirrored = (*(hop.kind for hop in reversed(out) if hop.kind == "firewall"), "local")
    if tuple(hop.kind for hop in back) != mirrored or back[-1].lands_in != subnet:
        yield (
            f"answers for {address} in {subnet} come back from the NAT gateway in {gateway} by "
            f"{_described(back)}; they must come back by {' → '.join(mirrored)}"
        )
        return
    yield from _crossings(subnet, back, "gets answers")


def _crossings(subnet: Subnet, hops: Sequence[Hop], verb: str) -> Iterator[str]:
    for hop in hops:
        if hop.zone not in (None, subnet.zone):
            yield f"{subnet} {verb} through {hop.zone}, not through its own zone {subnet.zone}: {hop}"


def _surprising_gateways(network: Network) -> Iterator[str]:
    """What would be a way past everything that is walked above."""
    others = (
        "AWS::EC2::EgressOnlyInternetGateway",
        "AWS::EC2::GatewayRouteTableAssociation",
        "AWS::EC2::SubnetCidrBlock",
        "AWS::EC2::TransitGatewayAttachment",
        "AWS::EC2::VPCCidrBlock",
        "AWS::EC2::VPCPeeringConnection",
        "AWS::EC2::VPNGateway",
    )
    for kind in others:
        for resource in network.of_type(kind):
            yield f"{resource.name} is a {kind}, which no path here accounts for"
    tables = set(network.route_tables.values())
    for route in network.of_type("AWS::EC2::Route"):
        if route.properties["RouteTableId"]["Ref"] not in tables:
            yield f"route {route.name} stands in a table that no subnet has"
        if "DestinationCidrBlock" not in route.properties:
            yield f"route {route.name} has no IPv4 destination: {route.properties}"
    for subnet in set(network.subnets) - set(network.route_tables):
        yield f"subnet {subnet} has no route table of its own"


def _described(hops: Sequence[Hop]) -> str:
    return ", ".join(map(str, hops)) or "nothing"


BEHIND_THE_FIREWALL = Design(
    {
        "private": ("firewall", "nat", "internet"),
        "firewall": ("nat", "internet"),
        "public": ("internet",),
        "isolated": (),
    }
)
WITHOUT_FIREWALL = Design(
    {"private": ("nat", "internet"), "public": ("internet",), "isolated": ()},
)
