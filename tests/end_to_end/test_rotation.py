"""Keys are rotated in the deployed cloud, under IAM enforcement, while the gateway serves callers."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.provider_secrets import secret_value
from tests.end_to_end.traffic import Traffic
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.clients import admin, log_messages, outputs
from tests.privilege.rotation import (
    CURRENT,
    OWN_KEYS,
    PENDING,
    call_function,
    left_in_order,
    put_pending,
    stages,
    sweep,
)

GOOGLE, LLAMA = "gemini-2.5-flash", "llama-3.3-70b-instruct"
TAKEN_UP_S = 60
IN_FLIGHT_MS = 150
CALLERS, PAUSE_S = 8, 0.2


class Rotated:
    """The deployed secrets and providers."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        self.arns = outputs(cloud, "secrets")
        self.secrets = admin(cloud, "secretsmanager")
        self._providers = f"http://127.0.0.1:{cloud.ports.providers}"

    def value(self, name: str) -> dict[str, Any]:
        return secret_value(self.cloud.account, self.arns[f"{name}SecretArn"])

    def rotate(self, name: str) -> str:
        """Begin; the version that is to become the current one."""
        return str(self.secrets.rotate_secret(SecretId=self.arns[f"{name}SecretArn"])["VersionId"])

    def is_promoted(self, name: str, version: str) -> bool:
        return CURRENT in stages(self.cloud, self.arns[f"{name}SecretArn"]).get(version, [])

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self._providers}/_control{path}", json.dumps(body).encode() if body is not None else None
        )
        request.method = method
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def calls(self, provider: str, key_id: str) -> list[dict[str, Any]]:
        """What a provider has received with a key, and accepted."""
        received = self.control("GET", f"/requests?provider={provider}")
        return [one for one in received if one["key"] == key_id and one["problem"] is None]

    def refusals(self, provider: str) -> int:
        """How many calls a provider has refused."""
        received = self.control("GET", f"/requests?provider={provider}")
        return sum(one["problem"] is not None for one in received)

    def admits(self, client_key: str) -> bool:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.cloud.connection.url}/v1/models", headers={"authorization": f"Bearer {client_key}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310
                return True
        except OSError:
            return False


@pytest.fixture
def rotated(embedded_cloud: RunningCloud) -> Iterator[Rotated]:
    """Providers are lenient and prompt again afterwards, and callers' keys are what they were."""
    found = Rotated(embedded_cloud)
    before = {name: found.value(name.removesuffix("SecretArn")) for name in OWN_KEYS}
    try:
        yield found
    finally:
        found.control("DELETE", "")
        for provider in ("google", "llama"):
            found.control("PUT", f"/keys/{provider}", {})
        for name, document in before.items():
            if found.value(name.removesuffix("SecretArn")) != document:
                found.secrets.put_secret_value(SecretId=found.arns[name], SecretString=json.dumps(document))


def wait(condition: Callable[[], bool], *, within_s: float, what: str, every_s: float = 0.02) -> float:
    """Seconds until the condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {what}"
        time.sleep(every_s)
    return time.monotonic() - began


@contextmanager
def callers(rotated: Rotated, *models: str) -> Iterator[Traffic]:
    for provider in ("google", "llama"):
        rotated.control("PUT", f"/{provider}", {"latency_ms": IN_FLIGHT_MS})
    connection = rotated.cloud.connection
    traffic = Traffic(connection.url, connection.api_key, models, CALLERS, PAUSE_S)
    with traffic.flowing():
        wait(lambda: len(traffic.answered) > 2 * CALLERS, within_s=20, what="callers get answers")
        yield traffic


def test_new_keys_are_taken_up_while_the_old_ones_still_work(
    rotated: Rotated, record_property: Callable[[str, object], None]
) -> None:
    """Nothing tells the gateway: it reads its secrets again by itself."""
    with callers(rotated, GOOGLE, LLAMA) as traffic:
        versions = {name: rotated.rotate(name) for name in ("ClientKeys", "Google", "Llama")}
        for name, version in versions.items():
            wait(lambda: rotated.is_promoted(name, version), within_s=20, what=f"{name} is promoted")  # noqa: B023
        began = time.monotonic()
        new_client_key = rotated.value("ClientKeys")["current"]
        google, llama = rotated.value("Google")["private_key_id"], rotated.value("Llama")["key_id"]
        waiting: dict[str, Callable[[], bool]] = {
            "llama": lambda: bool(rotated.calls("llama", llama)),
            "google": lambda: bool(rotated.calls("google", google)),
            "client keys": lambda: rotated.admits(new_client_key),
        }
        while waiting:
            assert time.monotonic() - began < TAKEN_UP_S, f"not taken up: {sorted(waiting)}"
            for name in [name for name, is_taken_up in waiting.items() if is_taken_up()]:
                record_property(f"take-up of {name}, s", round(time.monotonic() - began, 2))
                del waiting[name]
            time.sleep(0.1)
        assert rotated.admits(rotated.cloud.connection.api_key), "the previous client key is cut off"

    assert traffic.failed == []
    assert len(traffic.answered) > 4 * CALLERS


@pytest.mark.parametrize(
    ("name", "provider", "model", "key_id"),
    [("Llama", "llama", LLAMA, "key_id"), ("Google", "google", GOOGLE, "private_key_id")],
)
def test_no_request_fails_where_the_old_key_ends_as_the_new_one_is_promoted(
    rotated: Rotated,
    record_property: Callable[[str, object], None],
    name: str,
    provider: str,
    model: str,
    key_id: str,
) -> None:
    promoted_at: list[float] = []

    def end_the_old_key_at_once(version: str) -> None:
        while not rotated.is_promoted(name, version):
            time.sleep(0.002)
        promoted_at.append(time.time())
        rotated.control("PUT", f"/keys/{provider}", {"newest_only": True, "end_tokens": True})

    with callers(rotated, model) as traffic:
        watcher = threading.Thread(target=end_the_old_key_at_once, args=(rotated.rotate(name),))
        watcher.start()
        watcher.join(30)
        assert promoted_at, "the new key is not promoted"
        new_key = rotated.value(name)[key_id]
        wait(lambda: len(rotated.calls(provider, new_key)) > CALLERS, within_s=TAKEN_UP_S, what="take-up")
        refused = [
            one
            for one in rotated.control("GET", f"/requests?provider={provider}")
            if one["at"] >= promoted_at[0] and one["problem"] is not None
        ]

    first_use = min(one["at"] for one in rotated.calls(provider, new_key))
    slowest = max(one.took_s for one in traffic.answered)
    record_property(f"take-up of {provider} where the old key ends, s", round(first_use - promoted_at[0], 3))
    record_property(f"slowest request to {provider}, s", round(slowest, 2))
    record_property(f"calls that {provider} refused", len(refused))
    record_property(f"requests to {provider}", len(traffic.answered))
    assert traffic.failed == []
    assert refused, "the old key was never refused, so nothing was shown"
    assert first_use - promoted_at[0] < TAKEN_UP_S


def test_an_event_about_a_foreign_secret_changes_nothing(rotated: Rotated) -> None:
    foreign = rotated.secrets.create_secret(Name="foreign", SecretString='{"api_key": "foreign-key"}')
    event = {"SecretId": foreign["ARN"], "ClientRequestToken": "f" * 32, "Step": "createSecret"}
    try:
        answer = call_function(rotated.cloud, event)
        text = answer["Payload"].read().decode()
        assert "FunctionError" in answer
        assert "names no secret of ROTATED_SECRETS" in text
        assert "foreign-key" not in text
        assert stages(rotated.cloud, foreign["ARN"]) == {foreign["VersionId"]: [CURRENT]}
    finally:
        rotated.secrets.delete_secret(SecretId=foreign["ARN"], ForceDeleteWithoutRecovery=True)


def test_a_rotation_that_fails_promotes_nothing_and_the_next_waits_for_its_end(rotated: Rotated) -> None:
    arn, before = rotated.arns["LlamaSecretArn"], rotated.value("Llama")
    rotated.control("DELETE", "/requests")
    rotated.control("PUT", "/llama-administration", {"fault": {"kind": "status", "status": 503}})
    with left_in_order(rotated.cloud, arn, value_stays=True):
        version = rotated.rotate("Llama")
        wait(lambda: rotated.refusals("llama-administration") >= 3, within_s=20, what="three attempts")

        assert rotated.value("Llama") == before
        assert stages(rotated.cloud, arn)[version] == [PENDING]
        with pytest.raises(ClientError, match="A previous rotation isn't complete"):
            rotated.rotate("Llama")
    rotated.control("DELETE", "/llama-administration")
    again = rotated.rotate("Llama")
    wait(lambda: rotated.is_promoted("Llama", again), within_s=20, what="the next one succeeds")
    assert rotated.value("Llama")["api_key"] != before["api_key"]


def test_a_key_that_a_person_put_is_promoted_by_the_schedule_once_it_passes_its_test(
    rotated: Rotated,
) -> None:
    """EventBridge calls the function by the deployed rule; its clock is set to a minute."""
    arn, before = rotated.arns["LlamaAdministrationSecretArn"], rotated.value("LlamaAdministration")
    calls_models_only = {"admin_key": rotated.value("Llama")["api_key"]}
    with left_in_order(rotated.cloud, arn, value_stays=True):
        unfit = put_pending(rotated.cloud, arn, calls_models_only)
        sweep(rotated.cloud)
        assert stages(rotated.cloud, arn)[unfit] == [PENDING]
        assert rotated.value("LlamaAdministration") == before
        fit = put_pending(rotated.cloud, arn, {"admin_key": "sk-admin-put-by-a-person"})
        with sped_up_schedule(rotated.cloud):
            wait(
                lambda: stages(rotated.cloud, arn).get(fit) == [CURRENT],
                within_s=75,
                what="the schedule promotes it",
                every_s=0.2,
            )


@contextmanager
def sped_up_schedule(cloud: RunningCloud) -> Iterator[None]:
    """The deployed rule with a shorter interval, counted from its making."""
    events = admin(cloud, "events")
    (rule,) = [one for one in events.list_rules()["Rules"] if "RotationSweep" in one["Name"]]
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    try:
        events.put_rule(Name=rule["Name"], ScheduleExpression="rate(1 minute)")
        yield
    finally:
        events.put_rule(Name=rule["Name"], ScheduleExpression=rule["ScheduleExpression"])


def _messages(cloud: RunningCloud) -> Iterator[str]:
    """What is in CloudWatch Logs."""
    for group in admin(cloud, "logs").describe_log_groups()["logGroups"]:
        yield from log_messages(cloud, group["logGroupName"])


def test_no_log_of_the_cloud_shows_a_key(rotated: Rotated) -> None:
    """Last of the module: it looks for every key that its rotations made."""
    keys = set(_keys(rotated))
    assert len(keys) >= 8
    sources = {"functions": "\n".join(_messages(rotated.cloud))}
    for file in sorted((rotated.cloud.state.root / "logs").iterdir()):
        sources[file.name] = file.read_text(errors="replace")
    assert {"functions", "gateway.log", "emulator.log", "providers.log"} <= sources.keys()
    assert all(sources[name] for name in ("functions", "gateway.log", "emulator.log"))

    shown = [
        f"{name} shows {key[:6]}…" for name, text in sources.items() for key in sorted(keys) if key in text
    ]
    patterns = ("BEGIN PRIVATE KEY", r"sk-simulated-[0-9a-f]{40}", r"ya29\.simulated\.")
    shown += [
        f"{name} has {one}" for name, text in sources.items() for one in patterns if re.search(one, text)
    ]
    assert shown == []


def _keys(rotated: Rotated) -> Iterator[str]:
    """Every text in a labelled version of a secret that is one, and a line of each private key."""
    for output in rotated.arns:
        if not output.endswith("SecretArn"):
            continue
        for version in stages(rotated.cloud, rotated.arns[output]):
            answer = rotated.secrets.get_secret_value(SecretId=rotated.arns[output], VersionId=version)
            document = json.loads(answer["SecretString"])
            for member in ("current", "previous", "api_key", "admin_key"):
                if document.get(member):
                    yield document[member]
            if "private_key" in document:
                yield document["private_key"].splitlines()[5]
