"""Passwords that IAM signs: the gateway's are boto3's, byte for byte, and a judge knows good from bad."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import pytest

from gateway.control.database_token import database_token
from local.database_tokens import TokenJudge

HOST, PORT, REGION, USER = (
    "flags.cluster-x.eu-central-1.rds.amazonaws.com",
    5433,
    "eu-central-1",
    "flag_reader",
)
SECRET = "a/secret+of=the-test"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW)


def session(token: str | None = None, secret: str = SECRET) -> boto3.Session:
    return boto3.Session("AKIAFLAGS", secret, token, region_name=REGION)


def ours(of: boto3.Session, *, host: str = HOST, user: str = USER, region: str = REGION) -> str:
    credentials = of.get_credentials()
    assert credentials is not None
    return database_token(
        credentials.get_frozen_credentials(), host=host, port=PORT, user=user, region=region
    )


@pytest.mark.parametrize("session_token", [None, "a/session+token=="], ids=["a key", "a role"])
@pytest.mark.parametrize("user", [USER, "with space & more=ä"])
def test_the_token_is_the_one_that_boto3_makes(session_token: str | None, user: str) -> None:
    of = session(session_token)
    theirs = of.client("rds").generate_db_auth_token(HOST, PORT, user)
    assert ours(of, user=user) == theirs


def secret_of(key: str, session_token: str | None) -> str | None:
    known = key == "AKIAFLAGS" and session_token in (None, "a/session+token==")
    return SECRET if known else None


def judge(at: datetime = NOW) -> TokenJudge:
    return TokenJudge(host=HOST, port=PORT, region=REGION, secret_of=secret_of, clock=lambda: at)


@pytest.mark.parametrize("session_token", [None, "a/session+token=="], ids=["a key", "a role"])
def test_a_good_token_is_let_in_for_fifteen_minutes(session_token: str | None) -> None:
    token = ours(session(session_token))
    assert judge().objection(token, USER) is None
    assert judge(NOW + timedelta(seconds=899)).objection(token, USER) is None
    assert judge(NOW + timedelta(seconds=900)).objection(token, USER) == "it has expired"


def test_what_is_wrong_with_a_token_is_said() -> None:
    token = ours(session())
    assert "not for connecting as flag_writer" in str(judge().objection(token, "flag_writer"))
    assert "not for flags.cluster-x" in str(judge().objection(ours(session(), host="other"), USER))
    assert "rds-db in eu-central-1" in str(judge().objection(ours(session(), region="eu-west-1"), USER))
    assert judge().objection(ours(session(secret="guessed")), USER) == "its signature is wrong"
    assert judge().objection(token.replace("AKIAFLAGS", "AKIAOTHER"), USER) == (
        "nobody has the key it is signed with"
    )
    assert (
        judge().objection(token[:-1] + ("0" if token[-1] != "0" else "1"), USER) == "its signature is wrong"
    )
    assert judge().objection(token.replace("Expires=900", "Expires=90000"), USER) is not None
    assert judge(NOW - timedelta(minutes=6)).objection(token, USER) is not None
    assert judge().objection(ours(session("another session")), USER) == "nobody has the key it is signed with"
    for nonsense in ("", "password", "\x00", "a:1/?", "%"):
        assert judge().objection(nonsense, USER)
