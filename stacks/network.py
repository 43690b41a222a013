"""Network: the private network of an environment, its tiers, its ways out, and a record of its traffic."""

from __future__ import annotations

import ipaddress

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from stacks.acknowledgements import acknowledge, in_packs
from stacks.constructs.dns_firewall import DnsFirewall
from stacks.constructs.egress_routes import route_through
from stacks.constructs.encrypted_log_group import EncryptedLogGroup, allow_log_groups
from stacks.constructs.encryption_key import EncryptionKey
from stacks.constructs.endpoint_policies import Place
from stacks.constructs.network_firewall import NetworkFirewall
from stacks.constructs.service_endpoints import ServiceEndpoints
from stacks.environment_stack import EnvironmentStack
from stacks.settings import Environment

MAXIMUM_ZONES = 3

PUBLIC = "public"
PRIVATE = "private"
ISOLATED = "isolated"
FIREWALL = "firewall"


class NetworkStack(EnvironmentStack):
    """Owns the VPC, its endpoints, its firewalls and the record of its traffic.

    Tiers, each in every zone: `public` holds NAT gateways and nothing else, `private` the gateway's tasks
    and load balancer, `isolated` what has no way out (endpoints, cache), `firewall` the firewall's endpoint.
    Addresses for the firewall's subnets where it is switched off, and for a third zone, are set aside, so
    that adding either renumbers nothing.

    The way out is private → firewall → NAT gateway → internet, and back the same way, each within its zone;
    without the firewall it is private → NAT gateway. DNS Firewall is always on.

    The default security group keeps the rules AWS gives it: CloudFormation cannot remove them, and the CDK's
    way is a function with rights over security groups. Nothing here or elsewhere uses that group.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="Private network of the AI gateway: subnets, endpoints, firewalls, flow logs",
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
            subnet_configuration=_tiers(
                environment.network.cidr, with_firewall=environment.network.firewall.enabled
            ),
            restrict_default_security_group=False,
        )
        acknowledge(
            self.vpc,
            "CloudFormation-Validate::W3010",
            reason="Zones are literal so that nothing is looked up and all tiers agree on them.",
        )
        acknowledge(
            self.vpc,
            *in_packs("VPCDefaultSecurityGroupClosed"),
            reason="CloudFormation cannot empty that group, and nothing uses it.",
        )
        for subnet in self.vpc.public_subnets:
            acknowledge(
                subnet,
                *in_packs("VPCNoUnrestrictedRouteToIGW"),
                reason="NAT gateways are all that stands there, and nothing gets a public address.",
            )
        self.gateway_subnets = self.vpc.select_subnets(subnet_group_name=PRIVATE).subnets
        self.isolated_subnets = self.vpc.select_subnets(subnet_group_name=ISOLATED).subnets
        self.endpoints = ServiceEndpoints(
            self,
            "Endpoints",
            vpc=self.vpc,
            subnets=self.isolated_subnets,
            clients=self.gateway_subnets,
            place=Place(
                account=environment.deployment.account,
                region=environment.deployment.region,
                environment=environment.name,
                stack_prefix=environment.stack_prefix,
                answers_cloudformation=environment.flags.database,
                bedrock_role_arn=environment.providers.bedrock.assumed_role_arn,
            ),
        )
        self._key = self._traffic_key()
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(self._traffic_log("FlowLogGroup")),
        )
        if environment.network.firewall.enabled:
            self._guard_the_way_out()
        self._guard_names()

    def _traffic_key(self) -> EncryptionKey:
        key = EncryptionKey(
            self,
            "FlowLogKey",
            description="Encrypts the record of the AI gateway's traffic",
            removal_policy=self.removal_policy,
        )
        allow_log_groups(key)
        return key

    def _traffic_log(self, construct_id: str) -> EncryptedLogGroup:
        return EncryptedLogGroup(
            self,
            construct_id,
            key=self._key,
            retention_days=self.environment_settings.network.flow_log_retention_days,
            removal_policy=self.removal_policy,
        )

    def _guard_the_way_out(self) -> None:
        environment = self.environment_settings
        firewall = NetworkFirewall(
            self,
            "Firewall",
            name=f"{environment.stack_prefix}-egress",
            vpc=self.vpc,
            subnets=self.vpc.select_subnets(subnet_group_name=FIREWALL).subnets,
            home_networks=[environment.network.cidr],
            hosts=environment.egress_hosts,
            alert_only=environment.network.firewall.alert_only,
            protected=environment.deployment.stateful_protection,
            alert_log=self._traffic_log("FirewallAlerts"),
            flow_log=self._traffic_log("FirewallFlows"),
        )
        route_through(
            firewall,
            private=self.gateway_subnets,
            public=self.vpc.select_subnets(subnet_group_name=PUBLIC).subnets,
        )

    def _guard_names(self) -> None:
        environment = self.environment_settings
        DnsFirewall(
            self,
            "DnsFirewall",
            vpc=self.vpc,
            region=environment.deployment.region,
            hosts=environment.egress_hosts,
            alert_only=environment.network.firewall.alert_only,
            protected=environment.deployment.stateful_protection,
            query_log=self._traffic_log("DnsQueries"),
        )


def _tiers(cidr: str, *, with_firewall: bool) -> list[ec2.SubnetConfiguration]:
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
            name=FIREWALL,
            subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS,
            cidr_mask=28,
            reserved=not with_firewall,
        ),
    ]
