"""The registry guard: what it writes, and what it refuses before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from moto import mock_aws

from lambdas.audit_record import AuditTrail
from lambdas.audit_record import Table as AuditClient
from lambdas.registry_guard import handler as guard
from lambdas.registry_guard import stores

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_dynamodb.service_resource import Table
    from types_boto3_ssm.client import SSMClient

TABLE, AUDIT, PARAMETER = "ai_model_registry", "audit-records", "/route-sets/active"
STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/registry/1"
SONNET = "bedrock#claude-sonnet-4-5"
PRICE = {
    "currency": "EUR",
    "as_of": "2026-11-01",
    "input_micro_per_million_tokens": 2_800_000,
    "output_micro_per_million_tokens": 14_000_000,
    "cached_input_micro_per_million_tokens": 280_000,
}


def item(version: object = "2026-11-01", **changes: object) -> dict[str, object]:
    return {
        "provider#model": SONNET,
        "provider": "bedrock",
        "model": "claude-sonnet-4-5",
        "version": version,
        "family": "claude",
        "invocation_id": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "lifecycle": "active",
        "capabilities": {"tools": "native", "vision": True, "json_schema": True},
        "context_window_tokens": 200_000,
        "maximum_output_tokens": 64_000,
        "expected_latency_ms": 2_100,
        "price": PRICE,
        "residency": {"eu_processing": True, "eu_licence": True},
        **changes,
    }


def route_set(*references: tuple[str, str], **changes: object) -> str:
    tier = {
        "weights": {"latency": 0.25, "cost": 0.25, "domain": 0.25, "tools": 0.25},
        "sla_ms": 1000,
        "cost_ceiling_micro_eur_per_thousand_tokens": 5000,
    }
    return json.dumps(
        {
            "name": "default",
            "version": "2026-11-01",
            "models": [{"key": key, "version": version} for key, version in references],
            "domains": {"general": {"fit": {"claude": 1.0}}},
            "default_domain": "general",
            "tiers": {"low": tier, "standard": tier, "premium": tier},
            **changes,
        }
    )


NAMES_THE_FIRST = route_set((SONNET, "2026-11-01"))


def properties(*items: object, **changes: object) -> dict[str, object]:
    return {
        "ServiceToken": "arn",
        "TableName": TABLE,
        "AuditTable": AUDIT,
        "Items": json.dumps(items),
        "RouteSet": NAMES_THE_FIRST,
        "RouteSetParameter": PARAMETER,
        "EuOnly": "true",
        **changes,
    }


@dataclass(frozen=True)
class Account:
    """An AWS account with an empty registry."""

    table: Table
    ssm: SSMClient
    dynamodb: DynamoDBClient

    def deploy(self, *items: object, **changes: object) -> str | None:
        return self.run(properties(*items, **changes))

    def run(self, given: object, *, request: str = "Update") -> str | None:
        event = {"RequestType": request, "StackId": STACK, "ResourceProperties": given}
        opened = guard.Stores(
            cast("stores.Table", self.table),
            cast("stores.Parameters", self.ssm),
            AuditTrail(cast("AuditClient", self.dynamodb), AUDIT),
        )
        return guard.run(event, lambda _declaration: opened)

    def put(self, found: Mapping[str, object]) -> None:
        self.table.put_item(Item=found)  # type: ignore[arg-type]

    def put_in_force(self, text: str) -> None:
        self.ssm.put_parameter(Name=PARAMETER, Value=text, Type="String", Overwrite=True)

    def records(self) -> list[tuple[str, ...]]:
        """Subject, action, to, how and who of each record."""
        names = ("subject", "action", "to", "how", "who")
        items = self.dynamodb.scan(TableName=AUDIT)["Items"]
        return sorted(tuple(each[name]["S"] for name in names) for each in items)

    def stored(self) -> list[dict[str, object]]:
        return [dict(found) for found in self.table.scan()["Items"]]


@pytest.fixture(scope="module")
def opened() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }.items():
            patched.setenv(name, value)
        with mock_aws():
            table = boto3.resource("dynamodb").create_table(
                TableName=TABLE,
                KeySchema=[
                    {"AttributeName": "provider#model", "KeyType": "HASH"},
                    {"AttributeName": "version", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[
                    {"AttributeName": "provider#model", "AttributeType": "S"},
                    {"AttributeName": "version", "AttributeType": "S"},
                ],
                BillingMode="PAY_PER_REQUEST",
            )
            dynamodb = boto3.client("dynamodb")
            dynamodb.create_table(
                TableName=AUDIT,
                KeySchema=[
                    {"AttributeName": "subject", "KeyType": "HASH"},
                    {"AttributeName": "sequence", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[
                    {"AttributeName": "subject", "AttributeType": "S"},
                    {"AttributeName": "sequence", "AttributeType": "N"},
                ],
                BillingMode="PAY_PER_REQUEST",
            )
            yield Account(table, boto3.client("ssm"), dynamodb)


@pytest.fixture
def account(opened: Account) -> Iterator[Account]:
    yield opened
    for found in opened.stored():
        key = {name: str(found[name]) for name in ("provider#model", "version")}
        opened.table.delete_item(Key=key)
    for record in opened.dynamodb.scan(TableName=AUDIT)["Items"]:
        opened.dynamodb.delete_item(
            TableName=AUDIT, Key={name: record[name] for name in ("subject", "sequence")}
        )
    opened.ssm.delete_parameters(Names=[PARAMETER])


# ---- versions ------------------------------------------------------------------------------------


def test_absent_versions_are_written_with_their_types(account: Account) -> None:
    assert account.deploy(item(), item("2026-11-02")) is None
    by_version = {found["version"]: found for found in account.stored()}
    assert by_version == {"2026-11-01": item(), "2026-11-02": item("2026-11-02")}
    assert account.records() == [
        (f"model#{SONNET}#{version}", "propose", "active", "deploy", STACK)
        for version in ("2026-11-01", "2026-11-02")
    ]


def test_the_same_event_again_changes_nothing(account: Account) -> None:
    assert [account.deploy(item()) for _ in range(3)] == [None, None, None]
    assert account.stored() == [item()]
    assert len(account.records()) == 1


def test_a_changed_version_fails_showing_every_field_with_both_values_and_writes_nothing(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    assert account.deploy(item()) is None
    capsys.readouterr()
    changed = item(expected_latency_ms=9, price={**PRICE, "input_micro_per_million_tokens": 1})
    reason = str(account.deploy(item("2026-11-02"), changed))
    assert f"{SONNET} version 2026-11-01: expected_latency_ms is declared 9 and deployed 2100" in reason
    assert "price.input_micro_per_million_tokens is declared 1 and deployed 2800000" in reason
    assert "new version" in reason
    assert account.stored() == [item()]
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(line["event"], line["field"]) for line in logged} == {
        ("registry version changed", "expected_latency_ms"),
        ("registry version changed", "price.input_micro_per_million_tokens"),
    }


@pytest.mark.parametrize(
    ("deployed", "difference"),
    [
        (
            {"capabilities": {"tools": "native", "vision": 1, "json_schema": True}},
            "capabilities.vision is declared True and deployed 1",
        ),
        ({"family": "llama"}, "family is declared 'claude' and deployed 'llama'"),
        ({"note": "seen"}, "note is declared (none) and deployed 'seen'"),
        ({"price": "free"}, "deployed 'free'"),
    ],
)
def test_every_kind_of_difference_is_seen(
    account: Account, deployed: dict[str, object], difference: str
) -> None:
    account.put(item(**deployed))
    assert difference in str(account.deploy(item()))


@pytest.mark.parametrize("moved_to", ["canary", "deprecated"])
def test_a_version_that_operators_have_moved_stays_as_they_put_it(account: Account, moved_to: str) -> None:
    assert account.deploy(item()) is None
    account.put(item(lifecycle=moved_to))
    assert account.deploy(item(), item("2026-11-02")) is None
    assert {str(found["version"]): found["lifecycle"] for found in account.stored()} == {
        "2026-11-01": moved_to,
        "2026-11-02": "active",
    }


def test_a_version_written_by_somebody_else_meanwhile_is_judged_not_overwritten(account: Account) -> None:
    class Late:
        """A table whose first read misses what another writer stores right after it."""

        reads = 0

        def get_item(self, **arguments: object) -> object:
            self.reads += 1
            if self.reads == 1:
                account.put(item(family="llama"))
                return {}
            return account.table.get_item(**arguments)  # type: ignore[arg-type]

    reason = Account(cast("Table", Late()), account.ssm, account.dynamodb).deploy(item())
    assert "family is declared 'claude' and deployed 'llama'" in str(reason)
    assert account.stored() == [item(family="llama")]
    assert account.records() == []


def test_deleting_the_resource_leaves_the_data_alone(account: Account) -> None:
    assert account.deploy(item()) is None
    assert account.run({}, request="Delete") is None
    assert account.stored() == [item()]


# ---- route sets ----------------------------------------------------------------------------------


REFUSED = [
    ({"lifecycle": "draft"}, "is draft"),
    ({"lifecycle": "retired"}, "is retired"),
    ({"residency": {"eu_processing": False, "eu_licence": True}}, "has residency.eu_processing false"),
    ({"residency": {"eu_processing": True, "eu_licence": False}}, "has residency.eu_licence false"),
]


@pytest.mark.parametrize(("changes", "problem"), REFUSED)
def test_a_declared_route_set_that_names_what_must_not_be_routed_to_writes_nothing(
    account: Account, changes: dict[str, object], problem: str
) -> None:
    reason = str(account.deploy(item(**changes)))
    assert f"the declared route set: {SONNET} version 2026-11-01 {problem}" in reason
    assert "environments/route-sets" in reason
    assert account.stored() == []


@pytest.mark.parametrize(("changes", "problem"), REFUSED)
def test_the_route_set_in_force_is_judged_by_what_is_deployed(
    account: Account, changes: dict[str, object], problem: str
) -> None:
    account.put(item("2026-10-01", **changes))
    account.put_in_force(route_set((SONNET, "2026-10-01")))
    reason = str(account.deploy(item()))
    assert f"the route set in force: {SONNET} version 2026-10-01 {problem}" in reason
    assert "make route-set-rollback" in reason
    assert len(account.stored()) == 1


def test_a_version_that_operators_retired_is_judged_by_what_it_has_become(account: Account) -> None:
    account.put(item(lifecycle="retired"))
    reason = str(account.deploy(item()))
    assert f"the declared route set: {SONNET} version 2026-11-01 is retired" in reason


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(NAMES_THE_FIRST, id="names a version that operators retired"),
        pytest.param("{", id="cannot be read"),
    ],
)
def test_a_rollback_gets_through_whose_declared_route_set_operators_have_outdated(
    account: Account, declared: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFormation then sends the declaration before; what is routed by is the one in force."""
    account.put(item(lifecycle="retired"))
    account.put(item("2026-11-02"))
    account.put_in_force(route_set((SONNET, "2026-11-02")))
    assert account.deploy(item(lifecycle="active"), RouteSet=declared) is None
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (outdated,) = [line for line in lines if line["event"] == "declared route set outdated"]
    assert "the declared route set" in outdated["problem"]


def test_a_declared_route_set_that_is_in_force_is_judged(account: Account) -> None:
    account.put(item(lifecycle="retired"))
    account.put_in_force(NAMES_THE_FIRST)
    assert f"{SONNET} version 2026-11-01 is retired" in str(account.deploy(item()))


def test_a_version_that_is_only_registered_may_be_named_in_force(account: Account) -> None:
    account.put(item("2026-10-01"))
    account.put_in_force(route_set((SONNET, "2026-10-01")))
    assert account.deploy(item()) is None
    assert len(account.stored()) == 2


def test_where_the_eu_is_not_demanded_it_is_not_judged(account: Account) -> None:
    outside = item(residency={"eu_processing": False, "eu_licence": False})
    assert account.deploy(outside, EuOnly="false") is None
    assert account.stored() == [outside]


@pytest.mark.parametrize(
    ("in_force", "problem"),
    [
        (route_set((SONNET, "2026-09-01")), f"{SONNET} version 2026-09-01 is not registered"),
        ("{", "the route set in force cannot be read"),
        ('{"models": []}', "default_domain is missing"),
        (route_set((SONNET, "2026-11-01"), default_domain=7), "default_domain is 7, not of the type string"),
    ],
)
def test_a_route_set_in_force_that_nobody_can_follow_fails_the_deployment(
    account: Account, in_force: str, problem: str
) -> None:
    account.put_in_force(in_force)
    assert problem in str(account.deploy(item()))


# ---- declarations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, "ResourceProperties"),
        ({"Items": "[]"}, "TableName is None"),
        (properties(Items=None), "Items is None"),
        (properties(Items="[{"), "not valid JSON"),
        (properties(Items="{}"), "JSON dict"),
        (properties(1), "Item 0"),
        (properties({"version": "1"}), "provider#model"),
        (properties(item(), item()), "declared twice"),
        (properties(item(), RouteSet=""), "RouteSet is ''"),
        (properties(item(), EuOnly=True), "EuOnly is True"),
        (properties(item(), EuOnly="yes"), "EuOnly is 'yes'"),
        (properties(item(colour="blue")), "colour is unknown"),
        (properties(item(family="gpt")), "family is 'gpt', not one of claude, gemini, llama"),
        (properties(item(price={**PRICE, "currency": "USD"})), "price.currency is 'USD', not one of EUR"),
        (properties(item(price={**PRICE, "as_of": "2026-13-01"})), "price.as_of is '2026-13-01', not a date"),
        (properties(item(context_window_tokens="many")), "context_window_tokens is 'many', not of the type"),
        (properties(item(context_window_tokens=True)), "context_window_tokens is True, not of the type"),
        (properties(item(context_window_tokens=0)), "context_window_tokens is 0, less than 1"),
        (properties(item(context_window_tokens=1.5)), "context_window_tokens is Decimal('1.5'), not of"),
        (properties(item(model="haiku")), f"it is an item of {SONNET.replace('claude-sonnet-4-5', 'haiku')}"),
        (properties(item("tomorrow")), "version is 'tomorrow', which"),
        (properties(item("2026-11-01\n")), "version is '2026-11-01\\n', which"),
    ],
)
def test_a_malformed_declaration_is_refused_by_name_and_writes_nothing(
    account: Account, given: object, named: str
) -> None:
    assert named in str(account.run(given, request="Create"))
    assert account.stored() == []


@pytest.mark.usefixtures("account")
def test_an_unreachable_table_is_a_reason_not_a_crash() -> None:
    event = {"RequestType": "Create", "ResourceProperties": properties(item(), TableName="elsewhere")}
    assert "ResourceNotFoundException" in str(guard.run(event))
