"""Aurora in the embedded cloud: a real server, which the emulator's own IAM lets in or keeps out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pg8000 import dbapi

from gateway.control.database_connection import DatabasePlace
from gateway.control.database_token import database_token
from gateway.control.flag_database import FlagDatabase, FlagDatabaseError
from lambdas.flag_database import handler
from local.ports import LOOPBACK
from local.servers import emulator_python
from local.state import PROJECT
from tests.database.database import REGION, needs_postgresql

ACCOUNT = "000000000000"

DEPLOYING = """
import json, os, sys
os.environ.update(MINISTACK_ACCOUNT_ID="000000000000", MINISTACK_REGION="eu-central-1", AUTH="true")
from local.emulator import enforcement, registration, databases
enforcement.complete()
registration.extend()
from local.emulator.service_calls import call

handlers = databases.handlers()
def create(kind, **properties):
    return handlers["AWS::RDS::" + kind]["create"](kind, properties, "stack")

parameters, _ = create("DBClusterParameterGroup", Parameters={"rds.force_ssl": "1"})
subnets, _ = create("DBSubnetGroup", SubnetIds=["subnet-1"])
cluster, attributes = create("DBCluster", DatabaseName="flags", MasterUsername="flag_master",
    DBClusterParameterGroupName=parameters, DBSubnetGroupName=subnets)
_, instance = create("DBInstance", DBClusterIdentifier=cluster)
arn = f"arn:aws:rds-db:eu-central-1:000000000000:dbuser:{attributes['DBClusterResourceId']}/flag_reader"
keys = {}
for name, resource in (("reader", arn), ("stranger", arn.replace("flag_reader", "flag_writer"))):
    call("iam", "CreateUser", UserName=name)
    allowed = {"Effect": "Allow", "Action": "rds-db:connect", "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    call("iam", "PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=document)
    key = call("iam", "CreateAccessKey", UserName=name)["AccessKey"]
    keys[name] = [key["AccessKeyId"], key["SecretAccessKey"]]
secret = call("secretsmanager", "GetSecretValue", SecretId=attributes["MasterUserSecret.SecretArn"])
print(json.dumps({"attributes": attributes, "instance": instance, "keys": keys,
    "secret": secret["SecretString"], "roots": os.environ["FLAG_DATABASE_ROOTS"]}), flush=True)
sys.stdin.read()
handlers["AWS::RDS::DBCluster"]["delete"](cluster, {})
print(json.dumps({"left": sorted(databases._clusters)}))
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    needs_postgresql()
    scratch = tmp_path_factory.mktemp("emulator")
    with (scratch / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [str(emulator_python()), "-c", DEPLOYING],
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(scratch), "HOME": str(scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    answer = next((json.loads(line) for line in lines if line.startswith('{"attributes"')), None)
    assert answer, (scratch / "stderr").read_text()[-2000:]
    yield answer
    rest, _ = process.communicate("", timeout=20)
    assert json.loads(rest.splitlines()[-1]) == {"left": []}


def port(deployed: dict[str, Any]) -> int:
    return int(deployed["attributes"]["Endpoint.Port"])


def reader(deployed: dict[str, Any], who: str, user: str = "flag_reader") -> FlagDatabase:
    key, secret = deployed["keys"][who]
    credentials = boto3.Session(key, secret, region_name=REGION).get_credentials()
    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    place = DatabasePlace(LOOPBACK, port(deployed), "flags", user, Path(deployed["roots"]))
    return FlagDatabase(
        place,
        lambda: database_token(frozen, host=LOOPBACK, port=port(deployed), user=user, region=REGION),
    )


@pytest.fixture(scope="module")
def migrated(deployed: dict[str, Any]) -> dict[str, Any]:
    """As the function does at a deploy, with the master user's secret."""
    declaration = handler.Declaration(
        host=deployed["attributes"]["Endpoint.Address"],
        port=port(deployed),
        name="flags",
        secret_arn=deployed["attributes"]["MasterUserSecret.SecretArn"],
    )
    handler.deploy(declaration, lambda _arn: deployed["secret"], roots=Path(deployed["roots"]))
    return deployed


def test_the_cluster_has_the_attributes_of_one_at_aws(deployed: dict[str, Any]) -> None:
    attributes = deployed["attributes"]
    assert attributes["Endpoint.Address"] == deployed["instance"]["Endpoint.Address"] == LOOPBACK
    assert attributes["DBClusterResourceId"].startswith("cluster-")
    assert attributes["MasterUserSecret.SecretArn"].startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:")
    assert json.loads(deployed["secret"])["username"] == "flag_master"


def test_whoever_may_connect_reads_flags(migrated: dict[str, Any]) -> None:
    tier = reader(migrated, "reader")
    assert tier.read() == {}
    tier.close()


def test_whoever_may_connect_as_somebody_else_reads_nothing(migrated: dict[str, Any]) -> None:
    with pytest.raises(FlagDatabaseError, match="authentication failed"):
        reader(migrated, "stranger").read()


def test_a_permission_for_one_user_is_none_for_another(migrated: dict[str, Any]) -> None:
    with pytest.raises(FlagDatabaseError, match="authentication failed"):
        reader(migrated, "reader", "flag_writer").read()


def test_the_master_user_is_no_superuser(deployed: dict[str, Any]) -> None:
    master = json.loads(deployed["secret"])
    import ssl

    connection = dbapi.connect(
        master["username"],
        host=LOOPBACK,
        port=port(deployed),
        database="flags",
        password=master["password"],
        ssl_context=ssl.create_default_context(cafile=deployed["roots"]),
    )
    cursor = connection.cursor()
    cursor.execute("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    assert cursor.fetchone() == [False, True]
    connection.close()
