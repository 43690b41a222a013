"""Operator parameters: what a deploy creates and changes, and the operators' values that it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdas.operator_parameters import handler as parameters

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_ssm.client import SSMClient

SWITCH, STAGE = "/flags/kill-switch.all", "/flags/rollout-stage"
TAGS = {"owner": "platform", "service": "gateway"}


def declared(name: str = SWITCH, value: str = "off", **changes: object) -> dict[str, object]:
    return {
        "Name": name,
        "Value": value,
        "Description": "One of off, on",
        "AllowedPattern": "^(off|on)$",
        **changes,
    }


def properties(
    *declarations: object, tags: dict[str, str] | None = None, kept: str = "true"
) -> dict[str, object]:
    return {
        "ServiceToken": "arn",
        "Parameters": json.dumps(declarations),
        "Tags": json.dumps(TAGS if tags is None else tags),
        "Kept": kept,
    }


def create(*declarations: object) -> dict[str, object]:
    return {"RequestType": "Create", "ResourceProperties": properties(*declarations)}


def update(old: object, new: object) -> dict[str, object]:
    return {"RequestType": "Update", "OldResourceProperties": old, "ResourceProperties": new}


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[SSMClient]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield boto3.client("ssm")


def value(ssm: SSMClient, name: str = SWITCH) -> str:
    return ssm.get_parameter(Name=name)["Parameter"]["Value"]


def operator_sets(ssm: SSMClient, text: str, name: str = SWITCH) -> None:
    ssm.put_parameter(Name=name, Value=text, Overwrite=True)


def tags(ssm: SSMClient, name: str = SWITCH) -> dict[str, str]:
    found = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return {tag["Key"]: tag["Value"] for tag in found}


def names(ssm: SSMClient) -> set[str]:
    return {parameter["Name"] for parameter in ssm.describe_parameters()["Parameters"]}


def results(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["name"]: line["result"] for line in lines if line["event"] == "operator parameter"}


def test_an_absent_parameter_is_created_with_everything_declared(ssm: SSMClient) -> None:
    assert parameters.run(create(declared(), declared(STAGE))) is None
    (switch, _) = sorted(ssm.describe_parameters()["Parameters"], key=lambda found: found["Name"])
    assert (switch["Name"], switch["Type"], switch["Tier"]) == (SWITCH, "String", "Standard")
    assert (switch["Description"], switch["AllowedPattern"]) == ("One of off, on", "^(off|on)$")
    assert (value(ssm), value(ssm, STAGE)) == ("off", "off")
    assert tags(ssm) == TAGS


def test_an_operators_value_outlives_changed_tags(ssm: SSMClient, capsys: pytest.CaptureFixture[str]) -> None:
    parameters.run(create(declared()))
    operator_sets(ssm, "on")
    retagged = TAGS | {"owner": "another"}
    reason = parameters.run(update(properties(declared()), properties(declared(), tags=retagged)))
    assert reason is None
    assert (value(ssm), tags(ssm)) == ("on", retagged)
    assert results(capsys) == {SWITCH: "left alone"}


def test_an_operators_value_outlives_a_changed_default(
    ssm: SSMClient, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters.run(create(declared(STAGE, AllowedPattern=None)))
    operator_sets(ssm, "canary", STAGE)
    changed = declared(STAGE, "shadow", AllowedPattern=None)
    assert parameters.run(update(properties(declared(STAGE)), properties(changed))) is None
    assert value(ssm, STAGE) == "canary"
    assert results(capsys) == {STAGE: "left alone"}


def test_a_changed_default_reaches_a_parameter_that_nobody_touched(
    ssm: SSMClient, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters.run(create(declared(), declared(STAGE)))
    old, new = properties(declared(), declared(STAGE)), properties(declared(value="on"), declared(STAGE))
    assert parameters.run(update(old, new)) is None
    assert (value(ssm), value(ssm, STAGE)) == ("on", "off")
    assert results(capsys) == {SWITCH: "updated", STAGE: "unchanged"}
    # CloudFormation takes a failed update back by the same event, turned round.
    assert parameters.run(update(new, old)) is None
    assert value(ssm) == "off"


def test_a_changed_description_keeps_the_value(ssm: SSMClient) -> None:
    parameters.run(create(declared()))
    assert parameters.run(update(properties(declared()), properties(declared(Description="new")))) is None
    (switch,) = ssm.describe_parameters()["Parameters"]
    assert (switch["Description"], value(ssm)) == ("new", "off")


def test_the_same_event_again_changes_nothing(ssm: SSMClient) -> None:
    first = create(declared())
    assert [parameters.run(first) for _ in range(3)] == [None, None, None]
    assert ssm.get_parameter(Name=SWITCH)["Parameter"]["Version"] == 1
    changed = update(properties(declared()), properties(declared(value="on")))
    assert [parameters.run(changed) for _ in range(3)] == [None, None, None]
    assert value(ssm) == "on"


def test_a_value_that_was_there_before_the_first_deploy_stays(ssm: SSMClient) -> None:
    ssm.put_parameter(Name=SWITCH, Value="on", Type="String")
    assert parameters.run(create(declared())) is None
    assert (value(ssm), tags(ssm)) == ("on", TAGS)


def test_an_unreadable_previous_declaration_makes_every_value_an_operators(ssm: SSMClient) -> None:
    parameters.run(create(declared()))
    assert parameters.run(update({"Parameters": "["}, properties(declared(value="on")))) is None
    assert value(ssm) == "off"


def test_a_value_set_between_reading_and_creating_stays(
    ssm: SSMClient, capsys: pytest.CaptureFixture[str]
) -> None:
    class Late:
        """A store whose read misses what an operator sets right after it."""

        def __getattr__(self, name: str) -> object:
            return getattr(ssm, name)

        def get_parameter(self, **_: object) -> object:
            ssm.put_parameter(Name=SWITCH, Value="on", Type="String")
            raise ClientError({"Error": {"Code": "ParameterNotFound", "Message": "none"}}, "GetParameter")

    assert parameters.run(create(declared()), open_store=lambda: Late()) is None  # type: ignore[arg-type,return-value]
    assert value(ssm) == "on"
    assert results(capsys) == {SWITCH: "left alone"}


def test_a_deleted_parameter_comes_back_with_its_default(ssm: SSMClient) -> None:
    parameters.run(create(declared(value="on")))
    ssm.delete_parameter(Name=SWITCH)
    old, new = properties(declared(value="on")), properties(declared(), tags={})
    assert parameters.run(update(old, new)) is None
    assert value(ssm) == "off"


def test_a_parameter_no_longer_declared_stays_and_is_named(
    ssm: SSMClient, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters.run(create(declared(), declared(STAGE)))
    old, new = properties(declared(), declared(STAGE), kept="false"), properties(declared(), kept="false")
    assert parameters.run(update(old, new)) is None
    assert names(ssm) == {SWITCH, STAGE}
    assert results(capsys)[STAGE] == "no longer declared, left alone"


@pytest.mark.parametrize(("kept", "left"), [("true", {SWITCH, STAGE}), ("false", set())])
def test_deleting_the_resource_deletes_only_what_is_not_kept(
    ssm: SSMClient, kept: str, left: set[str]
) -> None:
    parameters.run(create(declared(), declared(STAGE)))
    event = {
        "RequestType": "Delete",
        "ResourceProperties": properties(declared(), declared(STAGE), kept=kept),
    }
    assert [parameters.run(event) for _ in range(2)] == [None, None]
    assert names(ssm) == left


@pytest.mark.usefixtures("ssm")
def test_a_stack_whose_declaration_was_refused_can_still_be_deleted() -> None:
    assert parameters.run({"RequestType": "Delete", "ResourceProperties": {"Parameters": "["}}) is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, "ResourceProperties"),
        (properties(kept="yes"), "Kept is 'yes'"),
        ({**properties(), "Tags": "[]"}, "Tags is"),
        ({**properties(), "Tags": '{"owner": 1}'}, "Tags is"),
        ({**properties(), "Parameters": None}, "Parameters is NoneType"),
        ({**properties(), "Parameters": "[{"}, "not valid JSON"),
        ({**properties(), "Parameters": "{}"}, "JSON dict"),
        (properties(1), "Parameter 0 is 1"),
        (properties({"Name": SWITCH}), "Parameter 0 has Value None"),
        (properties(declared(value="")), "Value ''"),
        (properties(declared(AllowedPattern=1)), "AllowedPattern 1"),
        (properties(declared(), declared()), "declared twice"),
        (properties(declared(AuditSubject=1)), "AuditSubject 1"),
        (properties(declared(AuditSubject="route-set")), "AuditTable is None"),
    ],
)
def test_a_malformed_declaration_is_refused_by_name_and_writes_nothing(
    ssm: SSMClient, given: object, named: str
) -> None:
    reason = parameters.run({"RequestType": "Create", "ResourceProperties": given})
    assert named in str(reason)
    assert names(ssm) == set()


def test_an_unreachable_store_is_a_reason_not_a_crash() -> None:
    def refuse() -> parameters.Store:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutParameter")

    assert "AccessDeniedException" in str(parameters.run(create(declared()), open_store=refuse))


# ---- parameters with an audit subject ------------------------------------------------------------------

ROUTES = "/route-sets/active"
STACK = "arn:aws:cloudformation:eu-central-1:1:stack/model-registry/1"


def route_set(version: str) -> str:
    return json.dumps({"name": "default", "version": version})


def recorded(version: str) -> dict[str, object]:
    given = declared(ROUTES, route_set(version), AllowedPattern=None, AuditSubject="route-set")
    return properties(given) | {"AuditTable": "audit"}


def first(version: str = "1") -> dict[str, object]:
    return {"RequestType": "Create", "StackId": STACK, "ResourceProperties": recorded(version)}


def second() -> dict[str, object]:
    return update(recorded("1"), recorded("2")) | {"StackId": STACK}


@pytest.fixture
def dynamodb(ssm: SSMClient) -> DynamoDBClient:  # noqa: ARG001 - the same simulation
    client = boto3.client("dynamodb")
    client.create_table(
        TableName="audit",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "subject", "AttributeType": "S"},
            {"AttributeName": "sequence", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "subject", "KeyType": "HASH"},
            {"AttributeName": "sequence", "KeyType": "RANGE"},
        ],
    )
    return client


def records(dynamodb: DynamoDBClient) -> list[tuple[str, ...]]:
    items = sorted(dynamodb.scan(TableName="audit")["Items"], key=lambda item: int(item["sequence"]["N"]))
    return [tuple(item[name]["S"] for name in ("who", "how", "action", "from", "to")) for item in items]


def test_a_route_set_that_a_deploy_puts_into_force_is_recorded_once(
    ssm: SSMClient, dynamodb: DynamoDBClient
) -> None:
    assert [parameters.run(first()) for _ in range(2)] == [None, None]
    assert [parameters.run(second()) for _ in range(2)] == [None, None]
    assert value(ssm, ROUTES) == route_set("2")
    assert records(dynamodb) == [
        (STACK, "deploy", "activate", "", "default@1"),
        (STACK, "deploy", "activate", "default@1", "default@2"),
    ]


def test_what_changes_no_value_is_not_recorded(ssm: SSMClient, dynamodb: DynamoDBClient) -> None:
    parameters.run(first())
    operator_sets(ssm, route_set("theirs"), ROUTES)
    assert parameters.run(second()) is None
    assert value(ssm, ROUTES) == route_set("theirs")
    assert len(records(dynamodb)) == 1


@pytest.mark.parametrize("event", [first(), second()], ids=["create", "update"])
def test_without_its_record_no_value_is_put_and_the_deployment_says_why(
    ssm: SSMClient, event: dict[str, object]
) -> None:
    if event["RequestType"] == "Update":
        ssm.put_parameter(Name=ROUTES, Value=route_set("1"), Type="String")
    before = ssm.get_parameters(Names=[ROUTES])["Parameters"]
    assert "ResourceNotFoundException" in str(parameters.run(event)), "there is no table"
    assert ssm.get_parameters(Names=[ROUTES])["Parameters"] == before


class Refusing:
    """A store that puts nothing."""

    def __init__(self, ssm: SSMClient, code: str) -> None:
        self._ssm = ssm
        self._code = code

    def __getattr__(self, name: str) -> object:
        return getattr(self._ssm, name)

    def put_parameter(self, **_: object) -> object:
        raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "PutParameter")


def test_a_value_that_was_not_put_is_recorded_as_refused(ssm: SSMClient, dynamodb: DynamoDBClient) -> None:
    parameters.run(first())
    reason = parameters.run(second(), open_store=lambda: Refusing(ssm, "TooManyUpdates"))  # type: ignore[arg-type,return-value]
    assert "TooManyUpdates" in str(reason)
    assert records(dynamodb)[1:] == [
        (STACK, "deploy", "activate", "default@1", "default@2"),
        (STACK, "deploy", "refused", "default@2", "default@1"),
    ]
    assert parameters.run(second()) is None
    assert records(dynamodb)[-1][2:] == ("activate", "default@1", "default@2")


def test_an_operator_who_was_faster_than_the_first_deploy_keeps_the_last_word(
    ssm: SSMClient, dynamodb: DynamoDBClient
) -> None:
    refusing = Refusing(ssm, "ParameterAlreadyExists")
    assert parameters.run(first(), open_store=lambda: refusing) is None  # type: ignore[arg-type,return-value]
    assert [each[2] for each in records(dynamodb)] == ["activate", "refused"]
