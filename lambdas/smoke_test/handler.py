"""Deployment lifecycle hook: asks new tasks whether they answer, before any caller reaches them.

ECS runs it when the test listener leads to the new tasks alone, and shifts production traffic only after
`{"hookStatus": "SUCCEEDED"}`; after `FAILED`, or anything else, it rolls the deployment back.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/lambda-lifecycle-hooks.html

A rule of a load balancer takes effect within seconds, not at once, so the checks are repeated until all
pass or patience ends. The reason for a no is in the log, one line a round.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

Event: TypeAlias = Mapping[str, object]

SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"

PAUSE_S = 3.0
REQUEST_TIMEOUT_S = 10.0
LONGEST_QUOTE = 300

QUESTION = {"messages": [{"role": "user", "content": "Are you there?"}], "dry_run": True}
"""Decided like any request, but nobody is called and nothing is spent."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A status and the body that came with it."""

    status: int
    body: bytes

    def quoted(self) -> str:
        """For a log line: an answer of the gateway's, shortened."""
        return f"{self.status}: {self.body[:LONGEST_QUOTE].decode('utf-8', 'replace')}"


class Ask(Protocol):
    """Sends one request; raises OSError or `http.client.HTTPException` where there is no answer."""

    def __call__(self, method: str, path: str, *, key: str = "", body: object = None) -> Reply:
        """The reply, whatever its status."""
        ...


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the function is told: where new tasks answer, whose key to use, how long to try."""

    url: str
    client_keys_secret: str
    patience_s: float

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the function's environment.

        Raises:
            KeyError: naming the variable that is missing.
        """
        return cls(
            url=environment["TEST_URL"],
            client_keys_secret=environment["CLIENT_KEYS_SECRET"],
            patience_s=float(environment["PATIENCE_S"]),
        )


def problems(ask: Ask, key: str) -> Iterator[str]:
    """What the tasks behind `ask` get wrong; nothing where callers may have them."""
    for check in (_is_ready, _refuses_strangers, _decides):
        try:
            yield from check(ask, key)
        except (OSError, http.client.HTTPException) as error:
            yield f"{check.__name__.strip('_')}: no answer: {type(error).__name__}: {error}"


def _is_ready(ask: Ask, _key: str) -> Iterator[str]:
    reply = ask("GET", "/health/ready")
    if reply.status != http.client.OK:
        yield f"/health/ready answers {reply.quoted()}"


def _refuses_strangers(ask: Ask, _key: str) -> Iterator[str]:
    reply = ask("POST", "/v1/route", body=QUESTION)
    if reply.status != http.client.UNAUTHORIZED:
        yield f"/v1/route without a key answers {reply.status}, not 401"


def _decides(ask: Ask, key: str) -> Iterator[str]:
    reply = ask("POST", "/v1/route", key=key, body=QUESTION)
    if reply.status != http.client.OK:
        yield f"/v1/route answers {reply.quoted()}"
    elif not _chosen(reply.body):
        yield f"/v1/route chooses no model: {reply.quoted()}"


def _chosen(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    decision = answer.get("decision") if isinstance(answer, dict) else None
    return isinstance(decision, dict) and bool(decision.get("chosen"))


def connection_to(url: str) -> Ask:
    """Sends each request over a connection of its own: the load balancer may change sides between two."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"TEST_URL is {url!r}, which names no host.")
    host, port = parts.hostname, parts.port

    def ask(method: str, path: str, *, key: str = "", body: object = None) -> Reply:
        connection = (
            http.client.HTTPSConnection(host, port, timeout=REQUEST_TIMEOUT_S, context=_encrypted())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=REQUEST_TIMEOUT_S)
        )
        headers = {"content-type": "application/json"} if body is not None else {}
        if key:
            headers["authorization"] = f"Bearer {key}"
        try:
            connection.request(
                method, path, body=json.dumps(body) if body is not None else None, headers=headers
            )
            response = connection.getresponse()
            return Reply(status=response.status, body=response.read())
        finally:
            connection.close()

    return ask


def _encrypted() -> ssl.SSLContext:
    """Encrypts, but believes no name: the load balancer is called by AWS's name, its certificate has ours.

    Who answers is settled by the security groups, which let this function reach that listener and no other.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def read_client_key(secret: str) -> str:
    """The gateway's current client key, read anew every time: it may have been rotated."""
    config = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 3})
    value = boto3.client("secretsmanager", config=config).get_secret_value(SecretId=secret)["SecretString"]
    return str(json.loads(value)["current"])


def passes(
    settings: Settings,
    *,
    read_key: Callable[[str], str] = read_client_key,
    connect: Callable[[str], Ask] = connection_to,
    now_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether all checks pass within the settings' patience; every round with a problem is logged."""
    key, ask = read_key(settings.client_keys_secret), connect(settings.url)
    end_s = now_s() + settings.patience_s
    while found := list(problems(ask, key)):
        _log("new tasks do not answer yet", problems=found)
        if now_s() + PAUSE_S > end_s:
            return False
        sleep(PAUSE_S)
    return True


def handler(
    event: Event,
    context: object,  # noqa: ARG001
    *,
    test: Callable[[Settings], bool] = passes,
) -> dict[str, str]:
    """Answer ECS; an error of the test itself is a no, with its reason in the log."""
    try:
        passed = test(Settings.read(os.environ))
    except Exception as error:
        _log("the smoke test itself failed", error=f"{type(error).__name__}: {error}")
        passed = False
    status = SUCCEEDED if passed else FAILED
    _log("smoke test", hook_status=status, deployment=event)
    return {"hookStatus": status}


def _log(message: str, **fields: object) -> None:
    print(json.dumps({"message": message, **fields}, default=str))
