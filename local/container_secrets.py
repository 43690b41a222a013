"""The values ECS injects for a container's `secrets`.

Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from local.aws import CLIENT_CONFIG, Account

_ARN_PARTS = 7


def resolve(account: Account, secrets: Mapping[str, str]) -> dict[str, str]:
    """Variable → value, for variable → `valueFrom`.

    That is a secret's ARN, optionally followed by `:<json key>:<stage>:<version>`, or a parameter's
    name or ARN.
    """
    return {name: _value(account, source) for name, source in secrets.items()}


def _value(account: Account, source: str) -> str:
    session = account.session()
    if not source.startswith("arn:") or ":ssm:" in source:
        parameters = session.client("ssm", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG)
        name = source.partition(":parameter")[2] or source
        return parameters.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    parts = source.split(":")
    key, stage, version = [*parts[_ARN_PARTS:], "", "", ""][:3]
    request = {"SecretId": ":".join(parts[:_ARN_PARTS])}
    if stage:
        request["VersionStage"] = stage
    if version:
        request["VersionId"] = version
    client = session.client("secretsmanager", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG)
    text = client.get_secret_value(**request)["SecretString"]
    return str(json.loads(text)[key]) if key else text
