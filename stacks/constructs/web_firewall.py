"""The web firewall of the load balancer: AWS WAF with managed rules and limits per key and per address.

It looks at no more than the first 8 KB of a body; behind a load balancer that cannot be changed, and since
rules over bodies only count, it decides nothing. The size of a body is the gateway's to judge.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from stacks.constructs.encrypted_log_group import EncryptedLogGroup
from stacks.constructs.managed_web_rules import MANAGED_RULE_GROUPS, ManagedRuleGroup
from stacks.settings import Environment

KEY_HEADER = "authorization"
"""What the gateway reads a caller's key from."""

SECRET_HEADERS = (KEY_HEADER, "api-key", "x-api-key", "x-goog-api-key", "sec-websocket-protocol")
"""Where a caller's key is, or ends up by mistake; logs and samples show a hash."""

EVALUATION_WINDOW_S = 60
RETRY_AFTER_S = 30

_BLOCKED = "blocked"
_TOO_MANY = "too-many-requests"


class WebFirewall(Construct):
    """Judges every request to `load_balancer`; what it blocks is answered in OpenAI's error shape.

    Blocked requests are logged, with keys hashed and bodies blanked; all requests are in the load balancer's
    access log. With `alert_only` nothing is blocked and every match is counted.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        load_balancer: elbv2.ApplicationLoadBalancer,
        log_key: kms.IKey,
        removal_policy: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        settings = environment.gateway.web_firewall
        self.access_list = wafv2.CfnWebACL(
            self,
            "AccessList",
            description="Requests to the AI gateway",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=[
                _rate_rule(
                    "RequestsPerKey",
                    priority=0,
                    alert_only=settings.alert_only,
                    limit=settings.requests_per_key_per_minute,
                    key_header=KEY_HEADER,
                ),
                _rate_rule(
                    "RequestsPerAddress",
                    priority=1,
                    alert_only=settings.alert_only,
                    limit=settings.requests_per_address_per_minute,
                ),
                *(
                    _managed_rule(group, priority=priority, alert_only=settings.alert_only)
                    for priority, group in enumerate(MANAGED_RULE_GROUPS, start=10)
                ),
            ],
            custom_response_bodies={
                _BLOCKED: _body(
                    "The request looks like an attack on a web server and was blocked.",
                    type_name="invalid_request_error",
                    code="request_blocked",
                ),
                _TOO_MANY: _body(
                    f"Too many requests within a minute; try again in {RETRY_AFTER_S} seconds.",
                    type_name="rate_limit_error",
                    code="rate_limit_exceeded",
                ),
            },
            data_protection_config=_protected_data(),
            visibility_config=_visibility("Requests"),
        )
        wafv2.CfnWebACLAssociation(
            self,
            "Association",
            resource_arn=load_balancer.load_balancer_arn,
            web_acl_arn=self.access_list.attr_arn,
        )
        self._log(environment, log_key=log_key, removal_policy=removal_policy)

    def _log(self, environment: Environment, *, log_key: kms.IKey, removal_policy: cdk.RemovalPolicy) -> None:
        name = f"aws-waf-logs-{environment.stack_prefix}"
        log_group = EncryptedLogGroup(
            self,
            "Logs",
            # AWS WAF writes to groups of this prefix only.
            log_group_name=name,
            key=log_key,
            retention_days=environment.gateway.log_retention_days,
            removal_policy=removal_policy,
        )
        stack = cdk.Stack.of(self)
        delivery = logs.ResourcePolicy(
            self, "Delivery", policy_statements=[_delivery(log_group, stack.account, stack.region)]
        )
        logging = wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.access_list.attr_arn,
            # The group's own ARN ends with `:*`, which AWS WAF refuses.
            log_destination_configs=[f"arn:aws:logs:{stack.region}:{stack.account}:log-group:{name}"],
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [{"ActionCondition": {"Action": "BLOCK"}}],
                    }
                ],
            },
            redacted_fields=[
                wafv2.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": header})
                for header in SECRET_HEADERS
            ],
        )
        logging.node.add_dependency(log_group, delivery)


def _delivery(log_group: logs.ILogGroup, account: str, region: str) -> iam.PolicyStatement:
    """Let AWS WAF write to the group, in AWS's own words.

    https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
    """
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal("delivery.logs.amazonaws.com")],
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[log_group.log_group_arn],
        conditions={
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:logs:{region}:{account}:*"},
        },
    )


def _managed_rule(
    group: ManagedRuleGroup, *, priority: int, alert_only: bool
) -> wafv2.CfnWebACL.RuleProperty:
    counted = sorted({*group.counting, *(group.blocking if alert_only else ())})
    blocked = [] if alert_only else sorted(group.blocking)
    return wafv2.CfnWebACL.RuleProperty(
        name=group.name.removeprefix("AWSManagedRules"),
        priority=priority,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(
            **({"count": {}} if alert_only else {"none": {}})
        ),
        statement=wafv2.CfnWebACL.StatementProperty(
            managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS",
                name=group.name,
                rule_action_overrides=[
                    *_overrides(counted, wafv2.CfnWebACL.RuleActionProperty(count={})),
                    *_overrides(blocked, _block(403, _BLOCKED)),
                ],
            )
        ),
        visibility_config=_visibility(group.name.removeprefix("AWSManagedRules")),
    )


def _overrides(
    names: Sequence[str], action: wafv2.CfnWebACL.RuleActionProperty
) -> list[wafv2.CfnWebACL.RuleActionOverrideProperty]:
    return [wafv2.CfnWebACL.RuleActionOverrideProperty(name=name, action_to_use=action) for name in names]


def _rate_rule(
    name: str, *, priority: int, alert_only: bool, limit: int, key_header: str | None = None
) -> wafv2.CfnWebACL.RuleProperty:
    """Limits requests with the same value of `key_header`, or from the same address without one."""
    by_header = wafv2.CfnWebACL.RateBasedStatementCustomKeyProperty(
        header=wafv2.CfnWebACL.RateLimitHeaderProperty(
            name=key_header or "",
            text_transformations=[wafv2.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
        )
    )
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        action=(
            wafv2.CfnWebACL.RuleActionProperty(count={})
            if alert_only
            else _block(429, _TOO_MANY, retry_after_s=RETRY_AFTER_S)
        ),
        statement=wafv2.CfnWebACL.StatementProperty(
            rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                limit=limit,
                evaluation_window_sec=EVALUATION_WINDOW_S,
                aggregate_key_type="CUSTOM_KEYS" if key_header else "IP",
                custom_keys=[by_header] if key_header else None,
            )
        ),
        visibility_config=_visibility(name),
    )


def _block(status: int, body: str, *, retry_after_s: int | None = None) -> wafv2.CfnWebACL.RuleActionProperty:
    header = wafv2.CfnWebACL.CustomHTTPHeaderProperty(name="retry-after", value=str(retry_after_s))
    return wafv2.CfnWebACL.RuleActionProperty(
        block=wafv2.CfnWebACL.BlockActionProperty(
            custom_response=wafv2.CfnWebACL.CustomResponseProperty(
                response_code=status,
                custom_response_body_key=body,
                response_headers=[header] if retry_after_s else None,
            )
        )
    )


def _body(message: str, *, type_name: str, code: str) -> wafv2.CfnWebACL.CustomResponseBodyProperty:
    """An error as OpenAI's clients expect it."""
    error = {"message": message, "type": type_name, "param": None, "code": code}
    return wafv2.CfnWebACL.CustomResponseBodyProperty(
        content_type="APPLICATION_JSON", content=json.dumps({"error": error})
    )


def _protected_data() -> wafv2.CfnWebACL.DataProtectionConfigProperty:
    """Keys become hashes and bodies are blanked, also where a limit or a rule names what it matched."""
    return wafv2.CfnWebACL.DataProtectionConfigProperty(
        data_protections=[
            wafv2.CfnWebACL.DataProtectProperty(
                action="HASH",
                field=wafv2.CfnWebACL.FieldToProtectProperty(
                    field_type="SINGLE_HEADER", field_keys=list(SECRET_HEADERS)
                ),
            ),
            wafv2.CfnWebACL.DataProtectProperty(
                action="SUBSTITUTION",
                field=wafv2.CfnWebACL.FieldToProtectProperty(field_type="BODY"),
            ),
        ]
    )


def _visibility(metric_name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=metric_name, sampled_requests_enabled=True
    )
