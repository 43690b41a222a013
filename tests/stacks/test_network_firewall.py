"""Network Firewall as it is synthesised; what its rules do is judged in `tests/egress`."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.constructs.egress_rules import RULES_PER_STEP, rule_capacity, rules_text
from stacks.network import NetworkStack
from stacks.settings import Environment
from stacks.settings_hosts import is_host_pattern
from tests.stacks.synthesis import Properties, Synthesis, load_environment, new_app

FIREWALL = "AWS::NetworkFirewall"
GUARDED = ("local", "staging", "production")


def network_with(environment: Environment, directory: Path) -> dict[str, list[Properties]]:
    """Properties of the Network stack's resources by type."""
    app = new_app(directory)
    NetworkStack(app, "Network", environment=environment)
    app.synth()
    found: dict[str, list[Properties]] = {}
    for resource in json.loads((directory / "Network.template.json").read_text())["Resources"].values():
        found.setdefault(resource["Type"], []).append(resource.get("Properties", {}))
    return found


def alert_only(environment: Environment) -> Environment:
    firewall = environment.network.firewall.model_copy(update={"alert_only": True})
    return environment.model_copy(
        update={"network": environment.network.model_copy(update={"firewall": firewall})}
    )


def policy(synthesis: Synthesis) -> dict[str, Any]:
    found: dict[str, Any] = synthesis.only(f"{FIREWALL}::FirewallPolicy")["FirewallPolicy"]
    return found


def rule_group(synthesis: Synthesis) -> Properties:
    return synthesis.only(f"{FIREWALL}::RuleGroup")


@pytest.fixture(params=GUARDED)
def guarded(request: pytest.FixtureRequest, synthesised: Any) -> Synthesis:  # noqa: ANN401  (a function)
    found: Synthesis = synthesised(request.param)
    return found


def test_there_is_a_firewall_exactly_where_the_settings_say(every_environment: Synthesis) -> None:
    firewalls = every_environment.resources(f"{FIREWALL}::Firewall")

    assert len(firewalls) == every_environment.environment.network.firewall.enabled


def test_every_zone_has_one_endpoint_in_a_subnet_of_its_own(guarded: Synthesis) -> None:
    subnets = {one.logical_id: one.properties for one in guarded.resources("AWS::EC2::Subnet")}
    mapped = [
        subnets[mapping["SubnetId"]["Ref"]]
        for mapping in guarded.only(f"{FIREWALL}::Firewall")["SubnetMappings"]
    ]

    assert [subnet["AvailabilityZone"] for subnet in mapped] == list(
        guarded.environment.deployment.availability_zones
    )
    assert all(ipaddress.IPv4Network(subnet["CidrBlock"]).prefixlen == 28 for subnet in mapped)


def test_rules_are_evaluated_in_their_order_and_what_is_left_is_dropped_and_logged(
    guarded: Synthesis,
) -> None:
    found = policy(guarded)

    assert found["StatefulEngineOptions"]["RuleOrder"] == "STRICT_ORDER"
    assert rule_group(guarded)["RuleGroup"]["StatefulRuleOptions"] == {"RuleOrder": "STRICT_ORDER"}
    assert set(found["StatefulDefaultActions"]) == {"aws:drop_established", "aws:alert_established"}
    assert found["StatelessDefaultActions"] == ["aws:forward_to_sfe"]
    assert found["StatelessFragmentDefaultActions"] == ["aws:drop"]
    assert "StatelessRuleGroupReferences" not in found
    assert len(found["StatefulRuleGroupReferences"]) == 1


def test_a_connection_the_engine_lost_track_of_is_reset_and_not_waved_through(guarded: Synthesis) -> None:
    assert policy(guarded)["StatefulEngineOptions"]["StreamExceptionPolicy"] == "REJECT"


def test_home_is_every_range_of_the_vpc(guarded: Synthesis) -> None:
    ranges = {vpc.properties["CidrBlock"] for vpc in guarded.resources("AWS::EC2::VPC")}
    ranges |= {more.properties["CidrBlock"] for more in guarded.resources("AWS::EC2::VPCCidrBlock")}

    home = policy(guarded)["PolicyVariables"]["RuleVariables"]["HOME_NET"]["Definition"]
    assert set(home) == ranges
    assert rule_group(guarded)["RuleGroup"]["RuleVariables"]["IPSets"]["HOME_NET"]["Definition"] == home


def test_the_firewall_is_protected_exactly_where_the_environment_is(guarded: Synthesis) -> None:
    firewall = guarded.only(f"{FIREWALL}::Firewall")
    protected = guarded.environment.deployment.stateful_protection

    for key in ("DeleteProtection", "SubnetChangeProtection", "FirewallPolicyChangeProtection"):
        assert firewall[key] is protected, key


def test_production_is_protected(production: Synthesis) -> None:
    assert production.only(f"{FIREWALL}::Firewall")["DeleteProtection"] is True
    assert production.only(f"{FIREWALL}::Firewall")["SubnetChangeProtection"] is True


def test_alerts_and_flows_are_logged_apart_and_encrypted(guarded: Synthesis) -> None:
    logging = guarded.only(f"{FIREWALL}::LoggingConfiguration")["LoggingConfiguration"]
    destinations = {
        config["LogType"]: config["LogDestination"]["logGroup"]["Ref"]
        for config in logging["LogDestinationConfigs"]
    }
    groups = {one.logical_id: one.properties for one in guarded.resources("AWS::Logs::LogGroup", "Network")}

    assert set(destinations) == {"ALERT", "FLOW"}
    assert len(set(destinations.values())) == 2
    for group in destinations.values():
        assert "FlowLogKey" in groups[group]["KmsKeyId"]["Fn::GetAtt"][0]


def test_the_allowlist_is_the_providers_hosts_and_nothing_else(guarded: Synthesis) -> None:
    text = rule_group(guarded)["RuleGroup"]["RulesSource"]["RulesString"]
    names = {
        line.split('content:"')[1].split('"')[0] for line in text.splitlines() if line.startswith("pass tls")
    }

    assert names == set(guarded.environment.egress_hosts)
    assert "amazonaws" not in text


def test_alert_only_drops_nothing(tmp_path: Path) -> None:
    found = network_with(alert_only(load_environment("production")), tmp_path)
    (group,) = found[f"{FIREWALL}::RuleGroup"]
    (its_policy,) = found[f"{FIREWALL}::FirewallPolicy"]

    actions = {line.split()[0] for line in group["RuleGroup"]["RulesSource"]["RulesString"].splitlines()}
    assert actions == {"pass", "alert"}
    assert "drop" not in str(its_policy["FirewallPolicy"]).lower()
    assert "REJECT" not in str(its_policy)
    assert its_policy["FirewallPolicy"]["StatefulDefaultActions"] == ["aws:alert_established"]


# ---- the rules as text ----


def test_the_capacity_holds_twice_the_rules_and_grows_in_steps(guarded: Synthesis) -> None:
    group = rule_group(guarded)
    rules = group["RuleGroup"]["RulesSource"]["RulesString"].splitlines()

    assert group["Capacity"] >= 2 * len(rules)
    assert group["Capacity"] % RULES_PER_STEP == 0


@given(st.integers(min_value=1, max_value=2000))
def test_a_rule_more_seldom_changes_the_capacity(rules: int) -> None:
    capacity = rule_capacity("pass\n" * rules)

    assert capacity >= 2 * rules
    assert capacity - 2 * rules < RULES_PER_STEP
    assert capacity % RULES_PER_STEP == 0


def test_a_group_of_another_capacity_has_another_name(tmp_path: Path) -> None:
    """AWS replaces it then, and the old one must still be there until the policy has let go of it."""
    production = load_environment("production")
    llama = production.providers.llama.model_copy(
        update={"enabled": True, "base_url": "https://h0.example.eu/v1"}
    )
    hosts = tuple(f"h{number}.example.eu" for number in range(60))
    many = production.model_copy(
        update={
            "providers": production.providers.model_copy(
                update={"llama": llama.model_copy(update={"further_hosts": hosts})}
            )
        }
    )

    names = {
        (group["Capacity"], group["RuleGroupName"])
        for number, environment in enumerate((production, many))
        for group in network_with(environment, tmp_path / str(number))[f"{FIREWALL}::RuleGroup"]
    }

    assert names == {
        (100, "ai-orchestration-production-egress-100"),
        (200, "ai-orchestration-production-egress-200"),
    }


HOSTS = st.from_regex(r"\A\.?([a-z][a-z0-9]{0,8}\.){1,3}[a-z]{2,5}\Z")


@given(st.lists(HOSTS, max_size=20), st.booleans())
def test_every_rule_has_a_number_of_its_own_whatever_the_hosts(hosts: list[str], only_alerts: bool) -> None:
    lines = rules_text(hosts, alert_only=only_alerts).splitlines()
    numbers = [line.split("sid:")[1].split(";")[0] for line in lines]

    assert len(set(numbers)) == len(lines)
    assert sum(line.startswith("pass tls") for line in lines) == len(set(hosts))
    assert rules_text(reversed(hosts), alert_only=only_alerts).splitlines() == lines


@pytest.mark.parametrize(
    "host", ['a.com"; sid:1;) pass ip any any -> any any (msg:"', "*.a.com", "A.com", "com"]
)
def test_what_is_no_host_name_gets_into_no_rule(host: str) -> None:
    with pytest.raises(ValueError, match="it is no host name"):
        rules_text([host], alert_only=False)


@given(st.text(max_size=30))
def test_a_host_pattern_has_no_character_that_means_something_to_suricata(text: str) -> None:
    assert not (is_host_pattern(text) and set(text) & set('";:|\\/ ()*!$\n'))
