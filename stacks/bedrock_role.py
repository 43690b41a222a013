"""What the role of another account that Bedrock is called with must trust and allow: `make bedrock-role`.

That account is not deployed from here: its owner makes the role from what this prints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stacks.constructs.bedrock_access import invoke_statements
from stacks.declared_models import DeclaredModel, load_models
from stacks.settings import Environment, SettingsError, load

ENVIRONMENTS = Path(__file__).parent.parent / "environments"
VERSION = "2012-10-17"


def role_documents(environment: Environment, models: Sequence[DeclaredModel]) -> Mapping[str, object]:
    """The role's trust policy and permissions.

    Raises:
        LookupError: the environment calls Bedrock with the task's own role.
    """
    bedrock = environment.providers.bedrock
    if bedrock.assumed_role_arn is None:
        raise LookupError(
            f"{environment.name} calls Bedrock with its own role; set providers.bedrock.role_arn, enabled"
        )
    account = bedrock.assumed_role_arn.split(":")[4]
    allowed = invoke_statements(models, region=environment.deployment.region, account=account)
    return {
        "role": bedrock.assumed_role_arn,
        "trust_policy": {"Version": VERSION, "Statement": [_trust(environment)]},
        "permissions": {"Version": VERSION, "Statement": [each.to_statement_json() for each in allowed]},
    }


def _trust(environment: Environment) -> Mapping[str, object]:
    """For the task role alone; CloudFormation ends its name, so it is known by its beginning."""
    own_account = environment.deployment.account
    task_role = f"arn:aws:iam::{own_account}:role/{environment.stack_prefix}-gateway-TaskRole*"
    conditions: dict[str, Mapping[str, str]] = {"ArnLike": {"aws:PrincipalArn": task_role}}
    if environment.providers.bedrock.external_id:
        conditions["StringEquals"] = {"sts:ExternalId": environment.providers.bedrock.external_id}
    return {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{own_account}:root"},
        "Action": "sts:AssumeRole",
        "Condition": conditions,
    }


def main(arguments: Sequence[str]) -> int:
    """Print the documents for the environment that is named; 1 where there are none."""
    try:
        environment = load(ENVIRONMENTS / f"{arguments[0]}.toml")
        documents = role_documents(environment, load_models(ENVIRONMENTS / "models"))
    except (SettingsError, LookupError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(documents, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
