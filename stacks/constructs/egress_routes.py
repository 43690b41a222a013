"""Routes through the firewall: out of a zone and back into it, never through another zone."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2

from stacks.constructs.network_firewall import NetworkFirewall

INTERNET = "0.0.0.0/0"


def route_through(
    firewall: NetworkFirewall, *, private: Sequence[ec2.ISubnet], public: Sequence[ec2.ISubnet]
) -> None:
    """Put `firewall` between the `private` subnets and the NAT gateways in the `public` ones.

    The firewall's own subnets keep their way to the NAT gateway of their zone. Answers come back from that
    gateway through the same endpoint, or the engine would see half a connection and drop it: a route to
    exactly the private subnet's range goes before the VPC's own,
    https://docs.aws.amazon.com/vpc/latest/userguide/middlebox-routing-examples.html
    """
    public_by_zone = {subnet.availability_zone: subnet for subnet in public}
    for subnet in private:
        zone = subnet.availability_zone
        _leave_by_endpoint(subnet, firewall.endpoint_in(zone))
        _return_by_endpoint(public_by_zone[zone], subnet, firewall.endpoint_in(zone))


def _leave_by_endpoint(subnet: ec2.ISubnet, endpoint_id: str) -> None:
    """Turn the route to the NAT gateway around.

    It keeps its logical id, so that switching the firewall on or off changes one route in place; two routes
    to the same destination cannot be deployed at the same time.
    """
    route = subnet.node.find_child("DefaultRoute")
    assert isinstance(route, ec2.CfnRoute)  # noqa: S101 - what the construct is made of
    route.nat_gateway_id = None
    route.vpc_endpoint_id = endpoint_id


def _return_by_endpoint(public: ec2.ISubnet, private: ec2.ISubnet, endpoint_id: str) -> None:
    assert isinstance(public, ec2.Subnet)  # noqa: S101 - what the VPC is made of
    ec2.CfnRoute(
        public,
        "ReturnRoute",
        route_table_id=public.route_table.route_table_id,
        destination_cidr_block=private.ipv4_cidr_block,
        vpc_endpoint_id=endpoint_id,
    )
