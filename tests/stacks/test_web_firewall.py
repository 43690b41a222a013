"""The web firewall: what is blocked, counted, limited, and what its log may show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from stacks.constructs.managed_web_rules import MANAGED_RULE_GROUPS, ManagedRuleGroup
from tests.stacks.synthesis import Properties, Synthesis, load_environment, synthesise

ACCESS_LIST = "AWS::WAFv2::WebACL"


def rules(synthesis: Synthesis) -> dict[str, Properties]:
    return {rule["Name"]: rule for rule in synthesis.only(ACCESS_LIST)["Rules"]}


def actions(rule: Properties) -> dict[str, Properties]:
    """What is done on a match, by the name of the managed rule."""
    overrides = rule["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    return {override["Name"]: override["ActionToUse"] for override in overrides}


def blocks(synthesis: Synthesis) -> Iterator[Properties]:
    """The answer to every request that is blocked."""
    for rule in rules(synthesis).values():
        for action in [rule.get("Action", {}), *(actions(rule).values() if "OverrideAction" in rule else ())]:
            if "Block" in action:
                yield action["Block"]["CustomResponse"]


@pytest.fixture(scope="module")
def alert_only(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    environment = load_environment("production")
    web_firewall = environment.gateway.web_firewall.model_copy(update={"alert_only": True})
    gateway = environment.gateway.model_copy(update={"web_firewall": web_firewall})
    return synthesise(
        environment.model_copy(update={"gateway": gateway}), tmp_path_factory.mktemp("alert-only")
    )


# ---- what is judged ----


def test_the_firewall_stands_before_the_load_balancer(every_environment: Synthesis) -> None:
    association = every_environment.only("AWS::WAFv2::WebACLAssociation")
    resources = every_environment.templates["Gateway"]["Resources"]
    assert resources[association["ResourceArn"]["Ref"]]["Type"].endswith("::LoadBalancer")
    assert resources[association["WebACLArn"]["Fn::GetAtt"][0]]["Type"] == ACCESS_LIST
    assert every_environment.only(ACCESS_LIST)["Scope"] == "REGIONAL"
    assert list(every_environment.only(ACCESS_LIST)["DefaultAction"]) == ["Allow"]


def test_aws_takes_the_access_list_as_it_is(production: Synthesis) -> None:
    """Judged by the model that AWS's own clients are generated from."""
    access_list = {**production.only(ACCESS_LIST), "Name": "name"}
    logging = {**production.only("AWS::WAFv2::LoggingConfiguration"), "ResourceArn": "arn:aws:wafv2:the-list"}
    model = botocore.session.get_session().get_service_model("wafv2")
    validate_parameters(access_list, model.shape_for("CreateWebACLRequest"))
    validate_parameters(logging, model.shape_for("LoggingConfiguration"))


def test_the_groups_fit_into_one_access_list_without_a_surcharge() -> None:
    """Two units a limit, thirty for its custom key: https://docs.aws.amazon.com/waf/latest/developerguide/aws-waf-capacity-units.html"""
    limits = 2 * 2 + 30
    assert sum(group.capacity_units for group in MANAGED_RULE_GROUPS) + limits <= 1500


@pytest.mark.parametrize("group", MANAGED_RULE_GROUPS, ids=lambda group: group.name)
def test_every_rule_over_bodies_counts_and_says_why(group: ManagedRuleGroup) -> None:
    assert [name for name in group.blocking if name.endswith("_BODY")] == []
    assert group.blocking.isdisjoint(group.counting)
    assert [name for name, reason in group.counting.items() if len(reason.split()) < 5] == []


def test_rules_act_as_they_were_judged(every_environment: Synthesis) -> None:
    for group in MANAGED_RULE_GROUPS:
        rule = rules(every_environment)[group.name.removeprefix("AWSManagedRules")]
        done = actions(rule)
        assert rule["OverrideAction"] == {"None": {}}
        assert {name for name, action in done.items() if "Block" in action} == group.blocking
        assert {name for name, action in done.items() if action == {"Count": {}}} == set(group.counting)


def test_a_key_and_an_address_have_the_limits_of_the_settings(every_environment: Synthesis) -> None:
    settings = every_environment.environment.gateway.web_firewall
    found = rules(every_environment)
    of_a_key = found["RequestsPerKey"]["Statement"]["RateBasedStatement"]
    assert (of_a_key["Limit"], of_a_key["EvaluationWindowSec"]) == (settings.requests_per_key_per_minute, 60)
    assert of_a_key["AggregateKeyType"] == "CUSTOM_KEYS"
    assert [key["Header"]["Name"] for key in of_a_key["CustomKeys"]] == ["authorization"]
    of_an_address = found["RequestsPerAddress"]["Statement"]["RateBasedStatement"]
    assert of_an_address["AggregateKeyType"] == "IP"
    assert of_an_address["Limit"] == settings.requests_per_address_per_minute


def test_the_first_week_blocks_nothing(alert_only: Synthesis) -> None:
    assert list(blocks(alert_only)) == []
    for rule in rules(alert_only).values():
        assert rule.get("Action", rule.get("OverrideAction")) == {"Count": {}}, rule["Name"]


# ---- what callers are told ----


def test_what_is_blocked_is_answered_in_openais_shape(production: Synthesis) -> None:
    bodies = production.only(ACCESS_LIST)["CustomResponseBodies"]
    codes = {403: "request_blocked", 429: "rate_limit_exceeded"}
    answers = list(blocks(production))
    assert {answer["ResponseCode"] for answer in answers} == set(codes)
    for answer in answers:
        body = bodies[answer["CustomResponseBodyKey"]]
        error = json.loads(body["Content"])["error"]
        assert body["ContentType"] == "APPLICATION_JSON"
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == codes[answer["ResponseCode"]]


def test_who_asks_too_often_learns_when_to_come_back(production: Synthesis) -> None:
    limited = [answer for answer in blocks(production) if answer["ResponseCode"] == 429]
    assert len(limited) == 2
    for answer in limited:
        (header,) = answer["ResponseHeaders"]
        assert header["Name"] == "retry-after"
        assert 0 < int(header["Value"]) <= 120


# ---- what is written down ----


def test_blocked_requests_are_logged_to_a_group_of_the_prefix_that_aws_demands(
    every_environment: Synthesis,
) -> None:
    environment = every_environment.environment
    logging = every_environment.only("AWS::WAFv2::LoggingConfiguration")
    name = f"aws-waf-logs-ai-orchestration-{environment.name}"
    place = f"{environment.deployment.region}:{environment.deployment.account}"
    assert logging["LogDestinationConfigs"] == [f"arn:aws:logs:{place}:log-group:{name}"]
    (group,) = [
        resource.properties
        for resource in every_environment.resources("AWS::Logs::LogGroup", "Gateway")
        if resource.properties.get("LogGroupName") == name
    ]
    assert group["KmsKeyId"]
    (kept,) = logging["LoggingFilter"]["Filters"]
    assert kept["Conditions"] == [{"ActionCondition": {"Action": "BLOCK"}}]


def test_neither_log_nor_sample_shows_a_key_or_a_prompt(every_environment: Synthesis) -> None:
    access_list = every_environment.only(ACCESS_LIST)
    assert "DataProtectionConfig" in access_list, "callers' keys would stand in the log and in samples"
    protections: list[dict[str, Any]] = access_list["DataProtectionConfig"]["DataProtections"]
    headers, body = protections
    assert headers["Action"] == "HASH"
    assert {"authorization", "x-api-key"} <= set(headers["Field"]["FieldKeys"])
    assert (body["Action"], body["Field"]) == ("SUBSTITUTION", {"FieldType": "BODY"})
    # Limits and matches name what they saw unless they are protected too.
    assert [one for one in protections if one.keys() - {"Action", "Field"}] == []
    redacted = every_environment.only("AWS::WAFv2::LoggingConfiguration")["RedactedFields"]
    assert {"SingleHeader": {"Name": "authorization"}} in redacted


def test_every_rule_has_its_own_metric(production: Synthesis) -> None:
    names = []
    for rule in rules(production).values():
        assert rule["VisibilityConfig"]["CloudWatchMetricsEnabled"] is True, rule["Name"]
        names.append(rule["VisibilityConfig"]["MetricName"])
    assert len(names) == len(set(names))


def test_the_settings_limit_reaches_the_rule(tmp_path: Path) -> None:
    environment = load_environment("development")
    web_firewall = environment.gateway.web_firewall.model_copy(update={"requests_per_key_per_minute": 77})
    gateway = environment.gateway.model_copy(update={"web_firewall": web_firewall})
    synthesis = synthesise(environment.model_copy(update={"gateway": gateway}), tmp_path)
    assert rules(synthesis)["RequestsPerKey"]["Statement"]["RateBasedStatement"]["Limit"] == 77
