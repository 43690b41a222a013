"""Aurora PostgreSQL as a real PostgreSQL on loopback: TLS, a master user's secret, and passwords of IAM.

A password of IAM opens a connection where it is a good one and the policies of whoever signed it allow
`rds-db:connect` as that user of that cluster. Where the server is not installed the deployment fails.
"""

from __future__ import annotations

import atexit
import contextvars
import json
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region

from local.database_tokens import TokenJudge
from local.emulator.handlers import Properties, Provisioned, handler, physical_name
from local.emulator.service_calls import call
from local.postgresql import LOOPBACK, Master, PostgresqlServer

ROOTS_VARIABLE = "FLAG_DATABASE_ROOTS"
"""What functions and the gateway are told of the authority of the server's certificate."""

ROOTS_FILE = "database_roots.pem"
"""Where in the emulator's folder the gateway finds it."""

_FORCE_TLS = "rds.force_ssl"


@dataclass(frozen=True)
class _Cluster:
    server: PostgresqlServer
    resource_id: str
    secret_arn: str


_clusters: dict[str, _Cluster] = {}
_parameters: dict[str, Properties] = {}


def _create_cluster(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = str(properties.get("DBClusterIdentifier") or physical_name(stack_name, logical_id, 63)).lower()
    resource_id = f"cluster-{secrets.token_hex(13).upper()}"
    master = Master(
        database=str(properties["DatabaseName"]),
        user=str(properties["MasterUsername"]),
        password=secrets.token_urlsafe(24),
    )
    port = _free_port()
    server = PostgresqlServer(
        port=port,
        master=master,
        objection=_objection(port, resource_id),
        plain_text=not _forces_tls(properties),
        log=lambda line: print(line, file=sys.stderr),
    )
    _tell_of_roots(server.roots)
    secret = call(
        "secretsmanager",
        "CreateSecret",
        Name=f"rds!{resource_id.lower()}",
        SecretString=json.dumps({"username": master.user, "password": master.password}),
        KmsKeyId=(properties.get("MasterUserSecret") or {}).get("KmsKeyId"),
    )
    _clusters[name] = _Cluster(server, resource_id, secret["ARN"])
    return _provisioned(name)


def _provisioned(name: str) -> Provisioned:
    cluster = _clusters[name]
    place = f"{get_region()}:{get_account_id()}"
    return name, {
        "DBClusterArn": f"arn:aws:rds:{place}:cluster:{name}",
        "DBClusterResourceId": cluster.resource_id,
        "Endpoint.Address": LOOPBACK,
        "Endpoint.Port": str(cluster.server.port),
        "ReadEndpoint.Address": LOOPBACK,
        "MasterUserSecret.SecretArn": cluster.secret_arn,
    }


def _update_cluster(
    physical_id: str, _old: Properties, _new: Properties, _stack_name: str, _logical_id: str
) -> Provisioned:
    """Capacity and backups mean nothing to the one server there is."""
    return _provisioned(physical_id)


def _delete_cluster(physical_id: str, _properties: Properties) -> None:
    cluster = _clusters.pop(physical_id, None)
    if cluster is not None:
        cluster.server.remove()
        call("secretsmanager", "DeleteSecret", SecretId=cluster.secret_arn, ForceDeleteWithoutRecovery=True)


def _objection(port: int, resource_id: str) -> Callable[[str, str], str | None]:
    """Asked on threads of the directory, which know of no account unless they are told."""
    account, region = get_account_id(), get_region()
    context = contextvars.copy_context()
    resource = f"arn:aws:rds-db:{region}:{account}:dbuser:{resource_id}"

    def objection(password: str, user: str) -> str | None:
        signers: list[str] = []

        def secret_of(access_key: str, session_token: str | None) -> str | None:
            signers.append(access_key)
            found = iam_evaluator.resolve_credential(access_key, account, session_token)
            return getattr(found, "secret_access_key", None)

        judge = TokenJudge(host=LOOPBACK, port=port, region=region, secret_of=secret_of)
        wrong = judge.objection(password, user)
        if wrong is None and not _may_connect(signers[0], account, region, f"{resource}/{user}"):
            wrong = f"the policies of its signer do not allow rds-db:connect on {resource}/{user}"
        return wrong

    return lambda password, user: context.copy().run(objection, password, user)


def _may_connect(access_key: str, account: str, region: str, resource: str) -> bool:
    principal = iam_evaluator.resolve_principal(access_key, account)
    policies = getattr(principal, "policies", ())
    if policies is None:
        return True  # the account's administrator
    if not policies:
        return False
    asked = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action="rds-db:connect",
        resource_arn=resource,
        region=region,
        principal_keys=principal.keys,
    )
    return bool(iam_evaluator.evaluate(asked, policies, *principal.limits).decision == "Allow")


def _forces_tls(properties: Properties) -> bool:
    group = _parameters.get(str(properties.get("DBClusterParameterGroupName")), {})
    return str((group.get("Parameters") or {}).get(_FORCE_TLS)) == "1"


def _tell_of_roots(roots: Path) -> None:
    """Functions inherit the emulator's environment."""
    file = Path(os.environ.get("TMPDIR", roots.parent)) / ROOTS_FILE
    if file.parent != roots.parent:
        shutil.copyfile(roots, file)
    os.environ[ROOTS_VARIABLE] = str(file)


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


def _create_instance(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = physical_name(stack_name, logical_id, 63).lower()
    cluster = _clusters[str(properties["DBClusterIdentifier"])]
    place = f"{get_region()}:{get_account_id()}"
    return name, {
        "DBInstanceArn": f"arn:aws:rds:{place}:db:{name}",
        "Endpoint.Address": LOOPBACK,
        "Endpoint.Port": str(cluster.server.port),
    }


def _create_parameters(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = physical_name(stack_name, logical_id, 255).lower()
    _parameters[name] = properties
    return name, {"DBClusterParameterGroupName": name}


def _delete_parameters(physical_id: str, _properties: Properties) -> None:
    _parameters.pop(physical_id, None)


def _create_subnets(logical_id: str, _properties: Properties, stack_name: str) -> Provisioned:
    return physical_name(stack_name, logical_id, 255).lower(), {}


def _nothing_to_delete(_physical_id: str, _properties: Properties) -> None:
    """There is only the cluster's server."""


def _remove_all() -> None:
    while _clusters:
        _clusters.popitem()[1].server.remove()


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    atexit.register(_remove_all)
    return {
        "AWS::RDS::DBCluster": handler(_create_cluster, _delete_cluster, _update_cluster),
        "AWS::RDS::DBInstance": handler(_create_instance, _nothing_to_delete),
        "AWS::RDS::DBSubnetGroup": handler(_create_subnets, _nothing_to_delete),
        "AWS::RDS::DBClusterParameterGroup": handler(_create_parameters, _delete_parameters),
    }
