"""Where the emulator's IAM enforcement must be told what AWS would know.

Policies are evaluated by the emulator as they were synthesised. A few facts of a request are
supplied here; without them statements that allow the request on AWS would refuse it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions, iam_evaluator

from local.emulator import function_logs, further_checks, leading_keys


def complete() -> None:
    """Install the completions. Must run before the emulator's application is imported."""
    _treat_loopback_as_secure()
    _name_resources()
    _name_roles_of_sessions()
    further_checks.complete()
    function_logs.complete()
    leading_keys.complete()


def _treat_loopback_as_secure() -> None:
    """Let policies that demand `aws:SecureTransport` be met.

    The port is bound to loopback, so what TLS protects against cannot happen.
    """
    pin = iam_evaluator.pin_request_origin

    def pin_as_secure(source_ip: str, _secure_transport: bool) -> None:
        pin(source_ip, True)

    iam_evaluator.pin_request_origin = pin_as_secure


def _name_roles_of_sessions() -> None:
    """`aws:PrincipalArn` of a session is the ARN of its role.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    resolve = iam_evaluator._resolve_condition_key

    def resolve_role(key: str, context: Any) -> Any:  # noqa: ANN401  (the emulator is untyped)
        if key.lower() == "aws:principalarn" and ":assumed-role/" in context.principal_arn:
            from ministack.services import iam

            role = iam._roles.get(iam_evaluator._role_name_from_assumed_arn(context.principal_arn)) or {}
            return role.get("Arn", context.principal_arn)
        return resolve(key, context)

    iam_evaluator._resolve_condition_key = resolve_role


_RESOURCES: Mapping[str, tuple[str, str]] = {
    "ecr": ("repositoryNames", "arn:aws:ecr:{region}:{account}:repository/{name}"),
    "ssm": ("Path", "arn:aws:ssm:{region}:{account}:parameter/{name}"),
}
"""Service → the request member that names the resource, and the ARN made of it.

DescribeRepositories and GetParametersByPath name theirs in members the emulator does not read; a log
group's requests also name a stream.
"""


def _name_resources() -> None:
    extract = iam_actions.extract_resource_arn

    def extract_completely(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        resource = str(extract(service, method, path, headers, body, query_params, region, account_id))
        if service == "logs" and ":log-group:" in resource:
            return f"{resource}:log-stream:{''.join(_named(body, 'logStreamName'))}"
        if resource != "*" or service not in _RESOURCES:
            return resource
        member, arn = _RESOURCES[service]
        names = _named(body, member)
        if len(names) != 1:
            return resource
        return arn.format(region=region, account=account_id, name=names[0].strip("/"))

    iam_actions.extract_resource_arn = extract_completely


def _named(body: bytes, member: str) -> list[str]:
    """The names in a JSON request's member, which is a text or a list of texts."""
    try:
        value = json.loads(body or b"{}").get(member) or []
    except (ValueError, AttributeError):
        return []
    return [value] if isinstance(value, str) else list(value)
