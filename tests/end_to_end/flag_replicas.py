"""Three replicas of the real gateway against the embedded cloud, whose tiers of flags can be lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from local.container_overrides import RealProviders
from local.ports import LOOPBACK, Ports
from local.provider_secrets import secret_value
from local.task_credentials import CredentialsEndpoint, assume_role
from local.task_definition import read_task
from local.task_runner import prepare
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.clients import admin, outputs

REPLICAS = 3
PATH = "/ai-orchestration/local/flags"
KILL_ALL = "kill-switch.all"
MODEL = "claude-haiku-4-5"
WAIT_S = 12.0
"""Longest wait for replicas, more than twice what is promised: a miss is measured, not cut off."""
_ASKED_EVERY_S = 0.02
_STARTED_S = 30.0
_CHUNK = 65_536


class Line:
    """A TCP line to the emulator that can be cut and mended: a store that is lost and comes back."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._whole = True
        self._open: set[socket.socket] = set()
        self._server = socket.create_server((LOOPBACK, 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.getsockname()[1]}"

    def cut(self) -> None:
        """Nobody gets through any more, and those who are through are thrown out."""
        self._whole = False
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._server.accept()
            except OSError:
                return
            if not self._whole:
                near.close()
                continue
            far = socket.create_connection((LOOPBACK, self._target))
            self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                sink.sendall(data)
        for one in (source, sink):
            self._open.discard(one)
            one.close()


@dataclass(frozen=True)
class Replica:
    """One running gateway."""

    port: int
    client_key: str

    def answers(self) -> bool | None:
        """Whether it lets a request through to a provider; None while it does not speak."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Good day"}]})
        headers = {"authorization": f"Bearer {self.client_key}", "content-type": "application/json"}
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError:
            return None
        finally:
            connection.close()
        assert answer.status == 200 or "kill" in text or answer.status in (401, 503), text
        return answer.status == 200


class Replicas:
    """The replicas, the lines to their tiers, and the operator who kills and revives."""

    def __init__(self, cloud: RunningCloud, replicas: Sequence[Replica], lines: dict[str, Line]) -> None:
        self._ssm, self._dynamodb = admin(cloud, "ssm"), admin(cloud, "dynamodb")
        self._table = outputs(cloud, "feature-flags")["FlagTableName"]
        self._replicas = replicas
        self.lines = lines

    def put(self, value: str) -> None:
        """As by `aws ssm put-parameter`."""
        self._ssm.put_parameter(Name=f"{PATH}/{KILL_ALL}", Value=value, Type="String", Overwrite=True)

    def put_row(self, value: str) -> None:
        """As the command line and the alarm's function do in the second tier."""
        self._dynamodb.put_item(
            TableName=self._table,
            Item={
                "flag": {"S": KILL_ALL},
                "value": {"S": value},
                "changed_at_ms": {"N": str(time.time_ns() // 1_000_000)},
                "changed_by": {"S": "measurement"},
                "why": {"S": "measured"},
            },
        )

    def answering(self) -> list[bool | None]:
        """What each replica does now."""
        return [one.answers() for one in self._replicas]

    def time_until(self, answering: bool, change: Callable[[], None]) -> float:
        """Seconds from the beginning of `change` until every replica answers, or none does."""
        started = time.monotonic()
        change()
        with ThreadPoolExecutor(len(self._replicas)) as askers:
            took = list(askers.map(lambda one: _until(one, answering, started), self._replicas))
        return max(took)


def _until(replica: Replica, answering: bool, started: float) -> float:
    while time.monotonic() - started < WAIT_S:
        if replica.answers() is answering:
            return time.monotonic() - started
        time.sleep(_ASKED_EVERY_S)
    return float("inf")


@contextmanager
def without_events(cloud: RunningCloud) -> Iterator[None]:
    """No change of a parameter calls the flag-update function."""
    events = admin(cloud, "events")
    (rule,) = [
        one["Name"] for one in events.list_rules()["Rules"] if "aws.ssm" in one.get("EventPattern", "")
    ]
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


@contextmanager
def running_replicas(cloud: RunningCloud) -> Iterator[Replicas]:
    """Start the replicas as the task definition says; revived in both tiers, and gone, in the end."""
    service = outputs(cloud, "gateway")
    task = read_task(cloud.account, service["ClusterName"], service["ServiceName"])
    key = secret_value(cloud.account, outputs(cloud, "secrets")["ClientKeysSecretArn"])["current"]
    with ExitStack() as running:
        endpoint = running.enter_context(
            CredentialsEndpoint(task.role_arn, lambda: assume_role(cloud.account, task.role_arn))
        )
        lines = {tier: Line(cloud.ports.emulator) for tier in ("SSM", "DYNAMODB")}
        for line in lines.values():
            running.callback(line.close)
        replicas = []
        for number in range(REPLICAS):
            ports = replace(cloud.ports, gateway=Ports.free().gateway)
            container, _image = prepare(cloud.state, cloud.account, ports, task, endpoint, RealProviders())
            stores = {f"AWS_ENDPOINT_URL_{tier}": line.url for tier, line in lines.items()}
            container = replace(container, environment={**container.environment, **stores})
            process = container.start(cloud.state.root / f"replica-{number}.log")
            running.callback(process.wait)
            running.callback(process.kill)
            replicas.append(Replica(ports.gateway, key))
        together = Replicas(cloud, replicas, lines)
        running.callback(_revive, together, Replica(cloud.ports.gateway, key))
        _wait_until_started(replicas)
        yield together


def _revive(replicas: Replicas, deployed: Replica) -> None:
    """And wait until the gateway that others use has seen it."""
    replicas.put("off")
    replicas.put_row("off")
    deadline = time.monotonic() + WAIT_S
    while deployed.answers() is False and time.monotonic() < deadline:
        time.sleep(_ASKED_EVERY_S)


def _wait_until_started(replicas: Sequence[Replica]) -> None:
    deadline = time.monotonic() + _STARTED_S
    for one in replicas:
        while one.answers() is not True:
            assert time.monotonic() < deadline, f"the replica on port {one.port} does not answer"
            time.sleep(0.1)


def measure(replicas: Replicas, rounds: int, *, seed: int, limit_s: float) -> dict[str, list[float]]:
    """Kill and revive by the parameter alone, at random moments; seconds until all replicas obey."""
    moments = random.Random(seed)  # noqa: S311
    times: dict[str, list[float]] = {"kill": [], "revive": []}
    deadline = time.monotonic() + limit_s
    for _round in range(rounds):
        for what, value in (("kill", "on"), ("revive", "off")):
            time.sleep(moments.uniform(0, 0.5))
            answering = value == "off"
            times[what].append(replicas.time_until(answering, lambda value=value: replicas.put(value)))  # type: ignore[misc]
        if time.monotonic() > deadline:
            break
    return times


def described(times: dict[str, list[float]]) -> list[str]:
    """A line for each change: how many, median, maximum."""
    return [
        f"{what}: {len(of)} times, {REPLICAS} replicas, "
        f"p50 {sorted(of)[len(of) // 2]:.2f} s, max {max(of):.2f} s"
        for what, of in times.items()
    ]
