"""What goes wrong outside of the project ends in one line and an exit status, never in a stack trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
)

from gateway.control import refusals
from operations.__main__ import REFUSALS
from operations.environment import Account
from operations.table_output import table
from tests.operations import conftest
from tests.operations.conftest import Outcome, Stacks, Staging


def failing(error: Exception) -> Any:  # noqa: ANN401 - stands for any call
    def call(*_: object, **__: object) -> object:
        raise error

    return call


def answer(code: str, message: str = "told") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoCredentialsError(), "no AWS credentials: "),
        (ProfileNotFound(profile="staging"), "no AWS credentials: "),
        (SSOTokenLoadError(error_msg="expired"), "AWS could not be asked: "),
        (answer("ExpiredToken"), "the AWS credentials are not accepted (ExpiredToken); sign in"),
        (answer("AccessDenied"), "GetCallerIdentity is denied: told; use a role that may"),
        (
            answer("ThrottlingException"),
            "AWS throttles GetCallerIdentity (ThrottlingException)",
        ),
        (answer("InternalError"), "GetCallerIdentity failed: InternalError: told"),
        (EndpointConnectionError(endpoint_url="https://sts"), "staging does not answer: "),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
)
@pytest.mark.parametrize("command", ["models", "flags", "audit", "route-sets", "registry-plan"])
def test_an_account_that_cannot_be_asked_is_one_line(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str, command: str
) -> None:
    monkeypatch.setattr(conftest._client("sts"), "get_caller_identity", failing(error))
    ended = staging.run(command, "staging")
    assert (ended.status, ended.err.startswith(told), ended.err.count("\n")) == (3, True, 1), ended.text


def test_credentials_of_another_account_are_refused_before_anything_is_asked(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_another() -> dict[str, str]:
        return {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:role/operator"}

    monkeypatch.setattr(conftest._client("sts"), "get_caller_identity", of_another)
    monkeypatch.setattr(conftest._client("ssm"), "put_parameter", failing(AssertionError("it was written")))
    ended = staging.run("kill", "staging", "--provider", "all", "--why", "wrong account")
    assert ended.status == 3
    assert "are of account 999999999999, but ENV=staging is account 123456789012" in ended.err


def test_a_stack_that_is_not_deployed_is_named(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stacks, "OUTPUTS", {})
    ended = staging.run("models", "staging")
    assert ended.status == 3
    assert ended.err == (
        "the stack ai-orchestration-staging-model-registry is not deployed; make deploy ENV=staging\n"
    )


def test_an_output_that_is_missing_is_named(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stacks, "OUTPUTS", {"model-registry": {}})
    assert "has no output RegistryTableName" in staging.run("models", "staging").err


def test_an_environment_that_does_not_exist_is_told(staging: Staging) -> None:
    ended = staging.run("models", "nowhere")
    assert (ended.status, "there is no such file" in ended.err) == (1, True)


def test_an_embedded_cloud_that_was_never_started_is_told(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCAL_STATE_DIRECTORY", str(tmp_path))
    ended = staging.run("flags", "local")
    assert (ended.status, "start it with make up" in ended.err) == (3, True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("models",),
        ("kill", "staging", "--provider", "openai", "--why", "x"),
        ("kill", "staging", "--provider", "google"),
        ("rotate", "staging", "--secret", "everything"),
        ("registry-apply", "staging"),
    ],
)
def test_a_wrong_argument_is_told_and_changes_nothing(staging: Staging, words: tuple[str, ...]) -> None:
    ended: Outcome = staging.run(*words)
    assert (ended.status, "usage:" in ended.err) == (2, True)


def test_no_refusal_of_the_rules_is_a_stack_trace() -> None:
    declared = {each for each in vars(refusals).values() if isinstance(each, type)}
    assert declared <= set(REFUSALS)


def test_a_table_keeps_its_columns_whatever_is_in_the_cells() -> None:
    shown = table(("name", "value"), [("a", ""), ("longer", "two\nlines"), ("b", None)])
    assert [line.split("  ")[0] for line in shown.splitlines()] == ["name", "a", "longer", "b"]
    assert shown.splitlines()[1:3] == ["a       -", "longer  two lines"]


def test_names_are_those_of_the_contracts(settings_of_staging: Any) -> None:  # noqa: ANN401
    account = Account(settings_of_staging, None, "operator")  # type: ignore[arg-type]
    assert (account.flag_path, account.route_set_parameter, account.route_set_library) == (
        "/ai-orchestration/staging/flags",
        "/ai-orchestration/staging/route-sets/active",
        "/ai-orchestration/staging/route-sets/library",
    )
