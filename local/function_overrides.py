"""The one set of variables in which a function here differs from its template.

Where keys are made and tested is the simulated providers, whatever the caller's environment holds: nobody
rotates a real provider's key from this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from local.aws import CLIENT_CONFIG, Account
from local.ports import LOOPBACK, Ports

_ROTATED = "ROTATED_SECRETS"
_SIMULATED = "SIMULATED_PROVIDERS"


def put_function_overrides(account: Account, ports: Ports) -> None:
    """Give every deployed function the variables it needs here; leave it where it has them already."""
    functions = account.session().client("lambda", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG)
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            defined = function.get("Environment", {}).get("Variables", {})
            overrides = function_overrides(defined, ports)
            if overrides.items() - defined.items():
                functions.update_function_configuration(
                    FunctionName=function["FunctionName"], Environment={"Variables": {**defined, **overrides}}
                )


def function_overrides(defined: Mapping[str, str], ports: Ports) -> dict[str, str]:
    """Variables that replace those of the function (`defined`)."""
    if _ROTATED not in defined:
        return {}
    providers = f"http://{LOOPBACK}:{ports.providers}"
    addresses = {
        "iam_base_url": providers,
        "administration_url": f"{providers}/llama/v1/organization/projects/local",
        "test_url": f"{providers}/llama/v1/models",
    }
    administrations = f"{addresses['administration_url']}/service_accounts"
    rotated = {
        arn: {
            **members,
            **{member: address for member, address in addresses.items() if members.get(member)},
            **({"test_url": administrations} if _tests_an_administrator(members) else {}),
        }
        for arn, members in json.loads(defined[_ROTATED]).items()
    }
    return {_ROTATED: json.dumps(rotated), _SIMULATED: "true"}


def _tests_an_administrator(members: Mapping[str, object]) -> bool:
    return str(members.get("test_url", "")).endswith("/service_accounts")
