"""The firewall as the Network stack synthesises it, with a Llama endpoint that has a suffix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stacks.network import NetworkStack
from stacks.settings import Environment
from tests.egress.flows import LLAMA, SUFFIX
from tests.egress.strict_order import Policy
from tests.stacks.synthesis import load_environment, new_app


def production_with_a_suffix(*, alert_only: bool = False) -> Environment:
    """Production, and in addition a Llama endpoint with every name below another one."""
    production = load_environment("production")
    llama = production.providers.llama.model_copy(
        update={
            "enabled": True,
            "base_url": f"https://{LLAMA}/v1",
            "eu_processing": True,
            "further_hosts": (SUFFIX,),
        }
    )
    firewall = production.network.firewall.model_copy(update={"alert_only": alert_only})
    return production.model_copy(
        update={
            "providers": production.providers.model_copy(update={"llama": llama}),
            "network": production.network.model_copy(update={"firewall": firewall}),
        }
    )


def network_resources(environment: Environment, directory: Path) -> Mapping[str, Any]:
    """The resources of the Network stack's template."""
    app = new_app(directory)
    NetworkStack(app, "Network", environment=environment)
    app.synth()
    template = json.loads((directory / "Network.template.json").read_text())
    resources: Mapping[str, Any] = template["Resources"]
    return resources


def policy_of(resources: Mapping[str, Any]) -> Policy:
    """The firewall's rules, variables and default actions, as they stand in the template."""
    group = _properties(resources, "AWS::NetworkFirewall::RuleGroup")["RuleGroup"]
    policy = _properties(resources, "AWS::NetworkFirewall::FirewallPolicy")["FirewallPolicy"]
    return Policy(
        rules=group["RulesSource"]["RulesString"],
        home_networks=group["RuleVariables"]["IPSets"]["HOME_NET"]["Definition"],
        default_actions=policy["StatefulDefaultActions"],
    )


def _properties(resources: Mapping[str, Any], type_name: str) -> Mapping[str, Any]:
    (found,) = (resource for resource in resources.values() if resource["Type"] == type_name)
    properties: Mapping[str, Any] = found["Properties"]
    return properties
