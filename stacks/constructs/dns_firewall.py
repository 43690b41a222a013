"""Route 53 DNS Firewall: which names the VPC's resolver answers, and a log of what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53resolver as resolver
from constructs import Construct

RULE_GROUP_PRIORITY = 101
"""The first that is not reserved, https://docs.aws.amazon.com/Route53/latest/APIReference/API_route53resolver_AssociateFirewallRuleGroup.html"""


class DnsFirewall(Construct):
    """Answers for `hosts` and for AWS's own names in the region; no other name exists.

    With `alert_only` other names are answered as well, and logged as alerts. `protected` refuses to take
    the rules off the VPC. When DNS Firewall itself fails, names are not answered: that is its default, and
    nothing here changes it.

    Aliases that an allowed name leads to are trusted: providers point their names at load balancers whose
    names change.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        region: str,
        hosts: Sequence[str],
        alert_only: bool,
        protected: bool,
        query_log: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        allowed = resolver.CfnFirewallDomainList(
            self, "Allowed", domains=sorted({*_domains(hosts), *_names_of_aws(region)})
        )
        everything = resolver.CfnFirewallDomainList(self, "Everything", domains=["*"])
        rules = resolver.CfnFirewallRuleGroup(
            self,
            "Rules",
            firewall_rules=[_allow(allowed), _alert(everything) if alert_only else _block(everything)],
        )
        resolver.CfnFirewallRuleGroupAssociation(
            self,
            "OnVpc",
            firewall_rule_group_id=rules.attr_id,
            vpc_id=vpc.vpc_id,
            priority=RULE_GROUP_PRIORITY,
            mutation_protection="ENABLED" if protected else "DISABLED",
        )
        queries = resolver.CfnResolverQueryLoggingConfig(
            self, "Queries", destination_arn=query_log.log_group_arn
        )
        resolver.CfnResolverQueryLoggingConfigAssociation(
            self, "QueriesOfVpc", resolver_query_log_config_id=queries.attr_id, resource_id=vpc.vpc_id
        )


def _domains(hosts: Iterable[str]) -> Iterable[str]:
    """A `.suffix` is the name itself and, as DNS Firewall writes it, `*.` and the name."""
    for host in hosts:
        name = host.removeprefix(".")
        yield name
        if host.startswith("."):
            yield f"*.{name}"


def _names_of_aws(region: str) -> tuple[str, ...]:
    """The private names of the endpoints, of tables and image layers, of the load balancer and the cache.

    All are answered by AWS, so nobody else learns what is asked for. Whether such a name can be reached is
    for the endpoints' policies, and elsewhere for Network Firewall.
    """
    return (f"*.{region}.amazonaws.com", f"*.{region}.elb.amazonaws.com", "*.cache.amazonaws.com")


def _allow(
    domains: resolver.CfnFirewallDomainList,
) -> resolver.CfnFirewallRuleGroup.FirewallRuleProperty:
    return resolver.CfnFirewallRuleGroup.FirewallRuleProperty(
        priority=1,
        action="ALLOW",
        firewall_domain_list_id=domains.attr_id,
        firewall_domain_redirection_action="TRUST_REDIRECTION_DOMAIN",
    )


def _block(
    domains: resolver.CfnFirewallDomainList,
) -> resolver.CfnFirewallRuleGroup.FirewallRuleProperty:
    return resolver.CfnFirewallRuleGroup.FirewallRuleProperty(
        priority=2, action="BLOCK", block_response="NXDOMAIN", firewall_domain_list_id=domains.attr_id
    )


def _alert(
    domains: resolver.CfnFirewallDomainList,
) -> resolver.CfnFirewallRuleGroup.FirewallRuleProperty:
    return resolver.CfnFirewallRuleGroup.FirewallRuleProperty(
        priority=2, action="ALERT", firewall_domain_list_id=domains.attr_id
    )
