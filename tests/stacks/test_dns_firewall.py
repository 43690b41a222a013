"""DNS Firewall: the names that are answered, and those that do not exist."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.synthesis import Synthesis, load_environment
from tests.stacks.test_network_firewall import alert_only, network_with

RESOLVER = "AWS::Route53Resolver"

NAMES_OF_AWS = {"*.eu-central-1.amazonaws.com", "*.eu-central-1.elb.amazonaws.com", "*.cache.amazonaws.com"}


def domains(synthesis: Synthesis) -> dict[str, list[str]]:
    return {
        one.logical_id: one.properties["Domains"]
        for one in synthesis.resources(f"{RESOLVER}::FirewallDomainList")
    }


def rules(synthesis: Synthesis) -> list[dict[str, Any]]:
    """In the order of their priority."""
    found = synthesis.only(f"{RESOLVER}::FirewallRuleGroup")["FirewallRules"]
    return sorted(found, key=lambda rule: int(rule["Priority"]))


def answered(synthesis: Synthesis, name: str) -> bool:
    """What the first rule with a fitting domain says; `*.` stands for one label or more."""
    for rule in rules(synthesis):
        listed = domains(synthesis)[rule["FirewallDomainListId"]["Fn::GetAtt"][0]]
        if any(fnmatch.fnmatchcase(name, domain) for domain in listed):
            return bool(rule["Action"] != "BLOCK")
    return True


def test_the_allowlist_is_the_firewalls_and_aws_own_names(every_environment: Synthesis) -> None:
    allowed, everything = (
        domains(every_environment)[rule["FirewallDomainListId"]["Fn::GetAtt"][0]]
        for rule in rules(every_environment)
    )

    assert set(allowed) == {*every_environment.environment.egress_hosts, *NAMES_OF_AWS}
    assert everything == ["*"]


def test_everything_behind_the_allowlist_does_not_exist(every_environment: Synthesis) -> None:
    allow, block = rules(every_environment)

    assert (allow["Action"], block["Action"]) == ("ALLOW", "BLOCK")
    assert block["BlockResponse"] == "NXDOMAIN"
    assert allow["FirewallDomainRedirectionAction"] == "TRUST_REDIRECTION_DOMAIN"


@pytest.mark.parametrize(
    ("name", "is_answered"),
    [
        ("oauth2.googleapis.com", True),
        ("iam.googleapis.com", True),
        ("aiplatform.eu.rep.googleapis.com", True),
        ("bedrock-runtime.eu-central-1.amazonaws.com", True),
        ("secretsmanager.eu-central-1.amazonaws.com", True),
        ("ssm.eu-central-1.amazonaws.com", True),
        ("logs.eu-central-1.amazonaws.com", True),
        ("api.ecr.eu-central-1.amazonaws.com", True),
        ("333333333333.dkr.ecr.eu-central-1.amazonaws.com", True),
        ("prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com", True),
        ("dynamodb.eu-central-1.amazonaws.com", True),
        ("333333333333.ddb.eu-central-1.amazonaws.com", True),
        ("internal-gateway-1.eu-central-1.elb.amazonaws.com", True),
        ("ai-orchestration-x.serverless.euc1.cache.amazonaws.com", True),
        ("secret.evil.net", False),
        ("googleapis.com", False),
        ("evil.oauth2.googleapis.com", False),
        ("oauth2.googleapis.com.evil.net", False),
        ("bedrock-runtime.us-east-1.amazonaws.com", False),
        ("s3.amazonaws.com", False),
        ("evileu-central-1.amazonaws.com", False),
        ("x.compute.amazonaws.com", False),
    ],
)
def test_a_name_is_answered_or_not(production: Synthesis, name: str, is_answered: bool) -> None:
    assert answered(production, name) is is_answered


def test_it_stands_before_the_whole_network_in_every_environment(every_environment: Synthesis) -> None:
    association = every_environment.only(f"{RESOLVER}::FirewallRuleGroupAssociation")
    (vpc,) = every_environment.resources("AWS::EC2::VPC")
    protected = every_environment.environment.deployment.stateful_protection

    assert association["VpcId"] == {"Ref": vpc.logical_id}
    assert 100 < association["Priority"] < 9900
    assert association["MutationProtection"] == ("ENABLED" if protected else "DISABLED")


def test_nothing_makes_it_fail_open(every_environment: Synthesis) -> None:
    """AWS's default is closed; only a FirewallConfig could change it."""
    kinds = {one.type for one in every_environment.resources() if one.type.startswith(RESOLVER)}

    assert kinds == {
        f"{RESOLVER}::{kind}"
        for kind in (
            "FirewallDomainList",
            "FirewallRuleGroup",
            "FirewallRuleGroupAssociation",
            "ResolverQueryLoggingConfig",
            "ResolverQueryLoggingConfigAssociation",
        )
    }


def test_every_query_is_logged_encrypted(every_environment: Synthesis) -> None:
    config = every_environment.only(f"{RESOLVER}::ResolverQueryLoggingConfig")
    association = every_environment.only(f"{RESOLVER}::ResolverQueryLoggingConfigAssociation")
    groups = {one.logical_id: one.properties for one in every_environment.resources("AWS::Logs::LogGroup")}
    (vpc,) = every_environment.resources("AWS::EC2::VPC")

    assert association["ResourceId"] == {"Ref": vpc.logical_id}
    assert "FlowLogKey" in groups[config["DestinationArn"]["Fn::GetAtt"][0]]["KmsKeyId"]["Fn::GetAtt"][0]


def test_alert_only_answers_every_name_and_says_so(tmp_path: Path) -> None:
    (group,) = network_with(alert_only(load_environment("production")), tmp_path)[
        f"{RESOLVER}::FirewallRuleGroup"
    ]

    assert [rule["Action"] for rule in group["FirewallRules"]] == ["ALLOW", "ALERT"]
    assert "BlockResponse" not in str(group)


def test_a_suffix_is_the_name_and_every_name_below_it(tmp_path: Path) -> None:
    environment = load_environment("local")
    llama = environment.providers.llama.model_copy(update={"further_hosts": (".models.example.eu",)})
    providers = environment.providers.model_copy(update={"llama": llama})

    allowed, _ = network_with(environment.model_copy(update={"providers": providers}), tmp_path)[
        f"{RESOLVER}::FirewallDomainList"
    ]

    assert {"models.example.eu", "*.models.example.eu"} <= set(allowed["Domains"])
    assert ".models.example.eu" not in allowed["Domains"]
