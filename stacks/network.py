"""Network: the private network of an environment, its tiers, its ways out, and a record of its traffic."""

from __future__ import annotations

import ipaddress

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.constructs.encrypted_log_group import EncryptedLogGroup, allow_log_groups
from stacks.constructs.service_endpoints import ServiceEndpoints
from stacks.environment_stack import EnvironmentStack
from stacks.settings import Environment

MAXIMUM_ZONES = 3

PUBLIC = "public"
PRIVATE = "private"
ISOLATED = "isolated"
FIREWALL = "firewall"


class NetworkStack(EnvironmentStack):
    """Owns the VPC, its endpoints and its flow logs.

    Tiers, each in every zone: `public` holds NAT gateways and nothing else, `private` the gateway's tasks
    and load balancer, `isolated` what has no way out (endpoints, cache). Addresses for firewall subnets, and
    for a third zone, are set aside, so that adding either renumbers nothing.

    The default security group keeps the rules AWS gives it: CloudFormation cannot remove them, and the CDK's
    way is a function with rights over security groups. Nothing here or elsewhere uses that group.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Private network of the AI gateway: subnets, endpoints, flow logs",
            stateful=True,
        )
        zones = environment.deployment.availability_zones
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(environment.network.cidr),
            availability_zones=list(zones),
            reserved_azs=MAXIMUM_ZONES - len(zones),
            nat_gateways=environment.network.nat_gateways,
            subnet_configuration=_tiers(environment.network.cidr),
            restrict_default_security_group=False,
        )
        acknowledge(
            self.vpc,
            "CloudFormation-Validate::W3010",
            reason="Zones are literal so that nothing is looked up and all tiers agree on them.",
        )
        self.gateway_subnets = self.vpc.select_subnets(subnet_group_name=PRIVATE).subnets
        self.isolated_subnets = self.vpc.select_subnets(subnet_group_name=ISOLATED).subnets
        self.endpoints = ServiceEndpoints(
            self,
            "Endpoints",
            vpc=self.vpc,
            subnets=self.isolated_subnets,
            clients=self.gateway_subnets,
        )
        self._record_traffic(environment.network.flow_log_retention_days)

    def _record_traffic(self, retention_days: int) -> None:
        key = kms.Key(
            self,
            "FlowLogKey",
            description="Encrypts the record of the AI gateway's traffic",
            enable_key_rotation=True,
            removal_policy=self.removal_policy,
        )
        allow_log_groups(key)
        log_group = EncryptedLogGroup(
            self,
            "FlowLogGroup",
            key=key,
            retention_days=retention_days,
            removal_policy=self.removal_policy,
        )
        self.vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group))


def _tiers(cidr: str) -> list[ec2.SubnetConfiguration]:
    """Subnets of each zone, as shares of the VPC: private 1/16, isolated 1/64, public 1/256, firewall /28."""
    prefix = ipaddress.IPv4Network(cidr).prefixlen
    return [
        ec2.SubnetConfiguration(
            name=PRIVATE, subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=prefix + 4
        ),
        ec2.SubnetConfiguration(
            name=ISOLATED, subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=prefix + 6
        ),
        ec2.SubnetConfiguration(
            name=PUBLIC,
            subnet_type=ec2.SubnetType.PUBLIC,
            cidr_mask=prefix + 8,
            map_public_ip_on_launch=False,
        ),
        ec2.SubnetConfiguration(
            name=FIREWALL, subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=28, reserved=True
        ),
    ]
