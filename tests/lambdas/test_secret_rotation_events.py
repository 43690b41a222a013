"""What is refused: field and reason are named, nothing changes, one line is logged without a secret."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lambdas.secret_rotation.handler import handler
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.settings import Settings
from tests.lambdas.rotation_world import ADMINISTRATION_ARN, ARN, KINDS, World, fails

TOKEN = "0123456789abcdef0123456789abcdef0123"
STEP = {"SecretId": ARN, "ClientRequestToken": TOKEN, "Step": "createSecret"}

MALFORMED: list[tuple[object, str]] = [
    (None, "the event is a NoneType"),
    ([STEP], "the event is a list"),
    ({}, "`SecretId` of the event is a NoneType"),
    ({**STEP, "SecretId": 3}, "`SecretId` of the event is a int"),
    ({**STEP, "SecretId": ARN.replace("rotated", "foreign")}, "`SecretId` of the event names no secret"),
    ({**STEP, "SecretId": "rotated"}, "`SecretId` of the event names no secret"),
    ({**STEP, "ClientRequestToken": ["x"]}, "`ClientRequestToken` of the event is a list"),
    ({**STEP, "ClientRequestToken": "short"}, "`ClientRequestToken` of the event is no version id"),
    ({**STEP, "ClientRequestToken": "x" * 65}, "`ClientRequestToken` of the event is no version id"),
    ({**STEP, "ClientRequestToken": "x " * 20}, "`ClientRequestToken` of the event is no version id"),
    ({**STEP, "Step": "deleteSecret"}, "`Step` of the event is none of createSecret, setSecret"),
    ({**STEP, "Step": None}, "`Step` of the event is a NoneType"),
    ({"sweep": False}, "`sweep` stands alone and is true"),
    ({"sweep": 1}, "`sweep` stands alone and is true"),
    ({**STEP, "sweep": True}, "`sweep` stands alone and is true"),
]


@pytest.mark.parametrize(("event", "reason"), MALFORMED)
def test_a_malformed_event_is_refused(event: object, reason: str) -> None:
    world = World("generated_keys")
    before = json.dumps(world.vault.describe_secret(SecretId=ARN))
    assert reason in fails(lambda: world.call(event))
    assert world.fault.calls == 0
    assert json.dumps(world.vault.describe_secret(SecretId=ARN)) == before
    (line,) = world.lines()
    assert line["event"] == "rotation refused"
    assert reason in line["reason"]
    world.check_silent()


def test_an_event_may_say_more_than_is_known() -> None:
    world = World("generated_keys")
    token = world.start_rotation()
    world.call({**STEP, "ClientRequestToken": token, "RotationToken": "of a later version of AWS"})
    assert world.vault.text(ARN, "AWSPENDING")


def declared(of: str, /, **members: object) -> dict[str, object]:
    return {**World(of).settings, **members}


def without(member: str, of: str) -> dict[str, object]:
    return {name: value for name, value in World(of).settings.items() if name != member}


MISDECLARED: list[tuple[object, str]] = [
    ("{", "ROTATED_SECRETS is no JSON"),
    ("[]", "ROTATED_SECRETS is no JSON object"),
    ("", "`ROTATED_SECRETS` of the function's variables is empty"),
    ({"client-keys": declared("generated_keys")}, "'client-keys', which is no secret's ARN"),
    ({ARN: []}, "is a list; it must be an object"),
    ({ARN: declared("generated_keys", kind="magic")}, "`kind` of .* is 'magic'; use one of generated_keys"),
    ({ARN: without("name", of="generated_keys")}, "`name` of .* is missing"),
    ({ARN: without("provider", of="generated_keys")}, "`provider` of .* is missing"),
    ({ARN: declared("generated_keys", overlap_s="1")}, "`overlap_s` of .* is '1'; it must be a number"),
    ({ARN: declared("generated_keys", overlap_s=True)}, "`overlap_s` of .* is True; it must be a number"),
    ({ARN: declared("generated_keys", overlap_s=-1)}, "`overlap_s` of .* is -1; it must be a number"),
    ({ARN: declared("generated_keys", overlap_s=float("nan"))}, "`overlap_s` of .* is nan"),
    ({ARN: declared("generated_keys", grace_s=1)}, "has the unknown members grace_s"),
    ({ARN: declared("google_service_account", iam_base_url="http://iam.googleapis.com")}, "`iam_base_url`"),
    ({ARN: declared("api_key_by_administration", test_url=None)}, "`test_url` of .* is missing"),
    ({ARN: declared("api_key_by_hand", test_url="llama.example.com")}, "`test_url` of .* is no https"),
]


@pytest.mark.parametrize(("secrets", "reason"), MISDECLARED)
def test_a_misdeclared_secret_is_refused(
    secrets: object, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = secrets if isinstance(secrets, str) else json.dumps(secrets)
    with pytest.raises(RotationError, match=reason):
        handler({"sweep": True}, None, variables={"ENVIRONMENT": "test", "ROTATED_SECRETS": text})
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "rotation refused"


def test_the_environment_is_named() -> None:
    with pytest.raises(RotationError, match="`ENVIRONMENT` of the function's variables is missing"):
        Settings.read({"ROTATED_SECRETS": "{}"})


def test_a_secret_belongs_to_its_own_region_and_the_function_s_environment() -> None:
    text = json.dumps({ARN: declared("google_service_account")})
    scope = Settings.read({"ENVIRONMENT": "staging", "ROTATED_SECRETS": text}).secrets[ARN].scope
    assert (scope.environment, scope.region, scope.provider) == ("staging", "eu-central-1", "google")


def test_the_secret_of_an_administrator_holds_an_administrator_s_key() -> None:
    by_hand = {"name": "llama-administration", "kind": "api_key_by_hand", "provider": "llama"}
    text = json.dumps({ARN: declared("api_key_by_administration"), ADMINISTRATION_ARN: by_hand})
    settings = Settings.read({"ENVIRONMENT": "test", "ROTATED_SECRETS": text})
    assert getattr(settings.secrets[ADMINISTRATION_ARN].kind, "key_field", "") == "admin_key"


FOREIGN = [
    ({"environment": "production"}, "`scope.environment` of the {} value is not 'test'"),
    ({"region": "us-east-1"}, "`scope.region` of the {} value is not 'eu-central-1'"),
    ({"provider": "somebody"}, "`scope.provider` of the {} value is not"),
    ("production", "`scope` of the {} value is a str"),
]


@pytest.mark.parametrize(("scope", "reason"), FOREIGN)
@pytest.mark.parametrize("kind", KINDS)
def test_a_current_value_that_is_for_elsewhere_is_left_alone(kind: str, scope: object, reason: str) -> None:
    world = World(kind)
    world.person_puts_current({**world.current, "scope": scope})
    world.clock.at_s += 1e6
    token = world.start_rotation()
    keys = world.provider_keys()
    steps = ("testSecret", "finishSecret") if kind == "api_key_by_hand" else ("createSecret",)
    for step in steps:
        assert reason.format("current") in fails(lambda step=step: world.step(token, step))  # type: ignore[misc]
    world.sweep()
    assert world.lines()[-1]["Failures"] == 1
    assert reason.format("current") in " ".join(world.lines()[-1]["problems"])
    assert world.provider_keys() == keys
    assert world.current["scope"] == scope
    world.check_silent()


@pytest.mark.parametrize(("scope", "reason"), FOREIGN)
def test_a_pending_value_that_is_for_elsewhere_is_not_promoted(scope: object, reason: str) -> None:
    world = World("api_key_by_hand")
    world.person_puts_pending(TOKEN, scope=scope)
    assert reason.format("pending") in fails(lambda: world.step(TOKEN, "finishSecret"))
    world.sweep()
    assert world.vault.labelled(ARN, "AWSCURRENT") != TOKEN


@pytest.mark.parametrize("kind", KINDS[:3])
def test_every_rotated_value_says_where_it_belongs(kind: str) -> None:
    world = World(kind)
    world.rotate(world.start_rotation())
    assert world.current["scope"] == {
        "environment": "test",
        "region": "eu-central-1",
        "provider": world.provider,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", "{", "[]", '"key-of-somebody-who-forgot-the-braces"', "[" * 100_000])
def test_a_current_value_that_is_no_object_is_refused_and_not_repeated(kind: str, text: str) -> None:
    world = World(kind)
    first = world.vault.secrets[ARN]["first-version-00000000000000000000"]
    first.text = text
    token = "rotation-" + "0" * 30
    world.vault.rotate_secret(ARN, token)
    world.check_always = lambda: None  # type: ignore[method-assign]
    reason = fails(lambda: world.step(token, "createSecret"))
    assert "the current value is " in reason
    assert "forgot" not in world.said.getvalue()
    world.sweep()
    line = world.lines()[-1]
    assert line["Failures"] == 1
    assert "AgeDays" not in line
    assert "forgot" not in world.said.getvalue()


def switch_off(world: World, token: str) -> None:
    world.vault.rotate_secret(ARN, token)
    world.vault.rotation_is_on = False


def give_up(world: World, token: str) -> None:
    world.vault.put_secret_value(
        SecretId=ARN, ClientRequestToken=token, SecretString="{}", VersionStages=["OTHER"]
    )


NOT_UNDER_WAY: dict[str, tuple[Callable[[World, str], Any], str]] = {
    "no such version": (lambda _world, _token: None, "no such version"),
    "rotation is off": (switch_off, "rotation is off"),
    "given up": (give_up, "is not AWSPENDING"),
}


@pytest.mark.parametrize("step", ["createSecret", "setSecret", "testSecret", "finishSecret"])
@pytest.mark.parametrize("case", NOT_UNDER_WAY)
def test_a_rotation_that_is_not_under_way_is_refused(case: str, step: str) -> None:
    prepare, reason = NOT_UNDER_WAY[case]
    world = World("google_service_account")
    prepare(world, TOKEN)
    keys = world.provider_keys()
    assert reason in fails(lambda: world.step(TOKEN, step))
    assert world.provider_keys() == keys


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_of_a_finished_rotation_does_nothing(kind: str) -> None:
    world = World(kind)
    token = world.start_rotation()
    world.rotate(token)
    current, keys = world.current, world.provider_keys()
    world.rotate(token)
    assert (world.current, world.provider_keys()) == (current, keys)
    assert [line["result"] for line in world.lines()[-4:]] == ["is current already"] * 4


def test_a_promotion_that_comes_before_there_is_a_value_is_refused() -> None:
    world = World("google_service_account")
    token = world.start_rotation()
    assert "createSecret comes first" in fails(lambda: world.step(token, "finishSecret"))


def test_a_step_is_measured_by_environment_and_secret() -> None:
    world = World("generated_keys")
    token = world.start_rotation()
    world.step(token, "createSecret")
    line = world.lines()[-1]
    metrics = line["_aws"]["CloudWatchMetrics"]
    assert metrics == [
        {
            "Namespace": "AiOrchestration/Rotation",
            "Dimensions": [["Environment", "Secret"]],
            "Metrics": [{"Name": "Failures", "Unit": "Count"}],
        }
    ]
    assert (line["Environment"], line["Secret"], line["Failures"]) == ("test", "the-secret", 0)
    assert abs(line["_aws"]["Timestamp"] / 1000 - world.clock.at_s) < 1
    world.vault.secrets[ARN][token].text = "{}"
    fails(lambda: world.step(token, "testSecret"))
    assert world.lines()[-1]["Failures"] == 1
