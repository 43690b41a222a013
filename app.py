"""The CDK app: one environment in, its stacks out.

    cdk synth --context environment=production

Without the context the variable ENVIRONMENT names the environment, and without that it is `local`. The
environment and what it declares are checked before the CDK is loaded; mistakes end the run with status 1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stacks.declared_models import load_models
from stacks.route_set import load_route_set
from stacks.settings import SettingsError, load

ENVIRONMENTS = Path(__file__).parent / "environments"


def main(variables: Mapping[str, str]) -> int:
    """Synthesise one environment; the exit status."""
    try:
        environment = load(ENVIRONMENTS / f"{environment_name(variables)}.toml")
        models = load_models(ENVIRONMENTS / "models")
        route_set = load_route_set(
            ENVIRONMENTS / "route-sets" / f"{environment.routing.route_set}.toml",
            declared=models,
            enabled_providers=environment.enabled_providers,
            eu_only=environment.deployment.eu_only,
        )
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1

    from stacks.application import build, repeatable_app
    from stacks.validation import judge

    app = repeatable_app()
    build(app, environment=environment, models=models, route_set=route_set)
    judge(app, environment)
    try:
        app.synth()
    except RuntimeError as error:
        if not str(error).startswith("ValidationFailed"):
            raise
        # A stack trace would bury the findings.
        print(
            error,
            "Repair each finding, or accept it where it occurs: see stacks/acknowledgements.py",
            sep="\n",
            file=sys.stderr,
        )
        return 1
    return 0


def environment_name(variables: Mapping[str, str]) -> str:
    """Which environment is asked for; the CDK CLI hands its context over as JSON in a variable."""
    context = json.loads(variables.get("CDK_CONTEXT_JSON") or "{}")
    return str(context.get("environment") or variables.get("ENVIRONMENT") or "local")


if __name__ == "__main__":
    sys.exit(main(os.environ))
