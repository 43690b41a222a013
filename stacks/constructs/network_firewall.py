"""AWS Network Firewall: one endpoint a zone, an allowlist of TLS names, and a log of what it sees."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_networkfirewall as networkfirewall
from constructs import Construct

from stacks.constructs.egress_rules import rule_capacity, rules_text

STRICT_ORDER = "STRICT_ORDER"


class NetworkFirewall(Construct):
    """Lets TLS to `hosts` through and nothing else; with `alert_only` it logs the rest instead.

    `home_networks` are the addresses that connections may come from: every range of the VPC. `protected`
    refuses to delete the firewall or to change its subnets or its policy.

    Network Firewall demands names: they are `name`, and the rule group's has its capacity as well, because a
    group whose capacity changes is replaced and the old one must still be there meanwhile.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        vpc: ec2.IVpc,
        subnets: Sequence[ec2.ISubnet],
        home_networks: Sequence[str],
        hosts: Sequence[str],
        alert_only: bool,
        protected: bool,
        alert_log: logs.ILogGroup,
        flow_log: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        rules = _rule_group(self, name=name, home_networks=home_networks, hosts=hosts, alert_only=alert_only)
        policy = _policy(self, name=name, rules=rules, home_networks=home_networks, alert_only=alert_only)
        self._firewall = networkfirewall.CfnFirewall(
            self,
            "Firewall",
            firewall_name=name,
            description="Lets the AI gateway reach its model providers and nothing else",
            firewall_policy_arn=policy.attr_firewall_policy_arn,
            vpc_id=vpc.vpc_id,
            subnet_mappings=[
                networkfirewall.CfnFirewall.SubnetMappingProperty(
                    subnet_id=subnet.subnet_id, ip_address_type="IPV4"
                )
                for subnet in subnets
            ],
            delete_protection=protected,
            subnet_change_protection=protected,
            firewall_policy_change_protection=protected,
        )
        networkfirewall.CfnLoggingConfiguration(
            self,
            "Logging",
            firewall_arn=self._firewall.attr_firewall_arn,
            logging_configuration=networkfirewall.CfnLoggingConfiguration.LoggingConfigurationProperty(
                log_destination_configs=[_destination("ALERT", alert_log), _destination("FLOW", flow_log)]
            ),
        )

    def endpoint_in(self, zone: str) -> str:
        """Id of the endpoint in `zone`, for a route.

        CloudFormation gives `zone:endpoint` pairs in no order, so the id is what stands between the zone's
        own name and the next comma.
        """
        pairs = cdk.Fn.join(",", self._firewall.attr_endpoint_ids)
        after_zone = cdk.Fn.select(1, cdk.Fn.split(f"{zone}:", pairs))
        return cdk.Fn.select(0, cdk.Fn.split(",", after_zone))


def _rule_group(
    scope: Construct, *, name: str, home_networks: Sequence[str], hosts: Sequence[str], alert_only: bool
) -> networkfirewall.CfnRuleGroup:
    text = rules_text(hosts, alert_only=alert_only)
    capacity = rule_capacity(text)
    return networkfirewall.CfnRuleGroup(
        scope,
        "Rules",
        rule_group_name=f"{name}-{capacity}",
        description="TLS to the model providers; generated from the settings",
        type="STATEFUL",
        capacity=capacity,
        rule_group=networkfirewall.CfnRuleGroup.RuleGroupProperty(
            rule_variables=networkfirewall.CfnRuleGroup.RuleVariablesProperty(
                ip_sets={"HOME_NET": {"definition": list(home_networks)}}
            ),
            rules_source=networkfirewall.CfnRuleGroup.RulesSourceProperty(rules_string=text),
            stateful_rule_options=networkfirewall.CfnRuleGroup.StatefulRuleOptionsProperty(
                rule_order=STRICT_ORDER
            ),
        ),
    )


def _policy(
    scope: Construct,
    *,
    name: str,
    rules: networkfirewall.CfnRuleGroup,
    home_networks: Sequence[str],
    alert_only: bool,
) -> networkfirewall.CfnFirewallPolicy:
    """Everything goes to the stateful engine; what no rule decides is dropped once its connection stands.

    A connection that the engine has lost track of is reset, so that the gateway opens a new one at once.
    """
    policy = networkfirewall.CfnFirewallPolicy
    return networkfirewall.CfnFirewallPolicy(
        scope,
        "Policy",
        firewall_policy_name=name,
        description="Strict order; what no rule lets through is dropped and logged",
        firewall_policy=policy.FirewallPolicyProperty(
            policy_variables=policy.PolicyVariablesProperty(
                rule_variables={"HOME_NET": {"definition": list(home_networks)}}
            ),
            stateless_default_actions=["aws:forward_to_sfe"],
            stateless_fragment_default_actions=["aws:forward_to_sfe" if alert_only else "aws:drop"],
            stateful_default_actions=[
                *([] if alert_only else ["aws:drop_established"]),
                "aws:alert_established",
            ],
            stateful_engine_options=policy.StatefulEngineOptionsProperty(
                rule_order=STRICT_ORDER,
                stream_exception_policy="CONTINUE" if alert_only else "REJECT",
            ),
            stateful_rule_group_references=[
                policy.StatefulRuleGroupReferenceProperty(resource_arn=rules.attr_rule_group_arn, priority=1)
            ],
        ),
    )


def _destination(
    log_type: str, log_group: logs.ILogGroup
) -> networkfirewall.CfnLoggingConfiguration.LogDestinationConfigProperty:
    return networkfirewall.CfnLoggingConfiguration.LogDestinationConfigProperty(
        log_type=log_type,
        log_destination_type="CloudWatchLogs",
        log_destination={"logGroup": log_group.log_group_name},
    )
