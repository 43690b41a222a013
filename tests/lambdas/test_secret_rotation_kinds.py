"""How a new key is made, tested and promoted, and how the old one ends, by kind of secret."""

import json

import pytest

from lambdas.secret_rotation.http_call import Reply, Request
from tests.lambdas.rotation_world import (
    A_DAY_S,
    ADMINISTRATION_ARN,
    ARN,
    FIRST_KEY,
    GRACE_S,
    KINDS,
    STEPS,
    CrashError,
    World,
    fails,
)
from tests.lambdas.simulated_key_makers import MOST_KEYS
from tests.lambdas.strict_vault import CURRENT, PENDING, PREVIOUS, refused

TOKEN = "by-a-person-0000000000000000000000000"
SIXTEEN_MINUTES_S = 960.0


def rotated(kind: str) -> World:
    world = World(kind)
    world.rotate(world.start_rotation())
    return world


# ---- every kind --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_ends_with_a_new_value_in_force(kind: str) -> None:
    world = World(kind)
    before = world.current
    token = world.start_rotation()
    world.rotate(token)
    assert world.vault.labelled(ARN, CURRENT) == token
    assert world.vault.labelled(ARN, PENDING) is None
    assert world.current != before
    assert world.current_works()


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_second_create_makes_no_second_key(kind: str) -> None:
    world = World(kind)
    token = world.start_rotation()
    world.step(token, "createSecret")
    pending, keys = world.vault.text(ARN, PENDING), world.provider_keys()
    world.step(token, "createSecret")
    assert (world.vault.text(ARN, PENDING), world.provider_keys()) == (pending, keys)


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_a_person_put_meanwhile_stays(kind: str) -> None:
    world = World(kind)
    token = world.start_rotation()
    if kind != "api_key_by_hand":
        world.step(token, "createSecret")
    world.clock.at_s += 1
    theirs = dict(world.first_value())
    world.person_puts_current(theirs)
    for step in ("testSecret", "finishSecret"):
        assert "put after the pending one" in fails(lambda step=step: world.step(token, step))  # type: ignore[misc]
    world.sweep()
    assert world.current == theirs
    assert world.vault.labelled(ARN, PENDING) is None
    world.rotate(world.start_rotation())


@pytest.mark.parametrize("kind", KINDS)
def test_a_rehearsal_with_a_copy_of_the_current_value_passes_and_promotes_nothing(kind: str) -> None:
    """RotateSecret with RotateImmediately=false; CloudFormation may ask for it."""
    world = World(kind)
    world.vault.put_secret_value(
        SecretId=ARN,
        ClientRequestToken=TOKEN,
        SecretString=world.vault.text(ARN),
        VersionStages=[PENDING],
    )
    world.step(TOKEN, "testSecret")
    assert world.lines()[-1]["result"] == "nothing new to test"
    fails(lambda: world.step(TOKEN, "finishSecret"))
    world.sweep()
    assert world.vault.labelled(ARN, CURRENT) != TOKEN


@pytest.mark.parametrize("kind", KINDS)
def test_a_rehearsal_without_a_value_passes_and_promotes_nothing(kind: str) -> None:
    """The other way in which Secrets Manager may make AWSPENDING for RotateImmediately=false."""
    world = World(kind)
    world.vault.rotate_secret(ARN, TOKEN)
    before, keys = world.current, world.provider_keys()
    world.step(TOKEN, "testSecret")
    assert world.lines()[-1]["result"].startswith("nothing to test")
    assert "has no value yet" in fails(lambda: world.step(TOKEN, "finishSecret"))
    world.sweep()
    assert (world.current, world.provider_keys()) == (before, keys)
    assert world.vault.labelled(ARN, CURRENT) != TOKEN


@pytest.mark.parametrize("kind", ["google_service_account", "api_key_by_administration"])
def test_a_create_that_broke_off_is_no_rehearsal(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> object:
        raise refused("InternalServiceError", "PutSecretValue")

    world = World(kind)
    token = world.start_rotation()
    monkeypatch.setattr(world.vault, "put_secret_value", refuse)
    fails(lambda: world.step(token, "createSecret"))
    assert "createSecret broke off" in fails(lambda: world.step(token, "testSecret"))


@pytest.mark.parametrize("kind", ["google_service_account", "api_key_by_administration", "api_key_by_hand"])
def test_a_failed_test_never_promotes(kind: str) -> None:
    world = World(kind)
    token = world.start_rotation()
    if kind != "api_key_by_hand":
        world.step(token, "createSecret")
    pending = json.loads(world.vault.text(ARN, PENDING))
    world.google.keys.pop(pending.get("private_key_id"), None)
    world.administration.keys.discard(pending.get("api_key"))
    before = world.current
    for step in ("testSecret", "finishSecret", "finishSecret"):
        assert "answered 40" in fails(lambda step=step: world.step(token, step))  # type: ignore[misc]
    for _ in range(5):
        world.clock.at_s += SIXTEEN_MINUTES_S
        world.sweep()
        line = world.lines()[-1]
        assert line["Failures"] == 1
        assert "is not promoted: " in line["problems"][0]
        assert world.vault.labelled(ARN, PENDING) == token
    world.clock.at_s += A_DAY_S
    world.sweep()
    assert "was given up" in world.lines()[-1]["problems"][0]
    assert world.current == before
    world.sweep()
    assert world.lines()[-1]["Failures"] == 0
    world.check_settled()
    world.check_silent()
    world.rotate(world.start_rotation())


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_that_never_made_a_value_is_given_up_after_a_day(kind: str) -> None:
    """Secrets Manager refuses to start another as long as the label is on."""
    world = World(kind)
    world.vault.rotate_secret(ARN, TOKEN)
    for _ in range(3):
        world.sweep()
        assert world.vault.labelled(ARN, PENDING) == TOKEN
        assert world.lines()[-1]["Failures"] == 0
        world.clock.at_s += A_DAY_S / 4
    world.clock.at_s += A_DAY_S / 4
    world.sweep()
    assert world.vault.labelled(ARN, PENDING) is None
    assert world.lines()[-1]["problems"] == [
        "a rotation made no value within a day and was given up; start another"
    ]
    world.sweep()
    assert world.lines()[-1]["Failures"] == 0
    world.rotate(world.start_rotation())


@pytest.mark.parametrize("kind", KINDS)
def test_age_is_counted_from_the_promotion(kind: str) -> None:
    world = World(kind)
    world.clock.at_s += 10 * A_DAY_S
    world.sweep()
    assert world.lines()[-1]["AgeDays"] == pytest.approx(10, abs=0.01)
    world.rotate(world.start_rotation())
    for days in (0.5, 3.0, 7.0):
        world.clock.at_s += days * A_DAY_S
        world.sweep()
    assert world.lines()[-1]["AgeDays"] == pytest.approx(10.5, abs=0.01), (
        "the end of the overlap is no rotation"
    )
    world.person_puts_current(world.first_value())
    world.sweep()
    assert world.lines()[-1]["AgeDays"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_an_empty_secret_is_ignored_by_the_sweep(kind: str) -> None:
    world = World(kind, set_by_operator=False)
    world.clock.at_s += 1e7
    world.sweep()
    line = world.lines()[-1]
    assert line["Failures"] == 0
    assert "AgeDays" not in line


def test_one_secret_s_failure_keeps_no_other_from_its_sweep() -> None:
    world = World("generated_keys")
    broken = ADMINISTRATION_ARN.replace("administration", "broken")
    world.vault.create(broken, "no JSON")
    world.declared = {
        broken: {**world.settings, "name": "broken"},
        ARN.replace("rotated", "gone"): {**world.settings, "name": "gone"},
        ARN: world.settings,
    }
    world.sweep()
    assert [(line["Secret"], line["Failures"]) for line in world.lines()] == [
        ("broken", 1),
        ("gone", 1),
        ("the-secret", 0),
    ]
    assert world.lines()[1]["problems"] == ["unexpected KeyError"]


def test_one_duty_that_fails_keeps_no_other_from_being_done() -> None:
    world = rotated("google_service_account")
    world.clock.at_s += GRACE_S + 1
    world.vault.rotate_secret(ARN, TOKEN)
    world.fault.plan(1, "before", "error")
    world.sweep()
    line = world.lines()[-1]
    assert line["problems"] == ["AWS refused describe_secret: InternalServiceError"]
    assert line["AgeDays"] > 0


# ---- generated keys ----------------------------------------------------------------------------------


def test_both_keys_are_accepted_until_the_overlap_is_over() -> None:
    world = rotated("generated_keys")
    new = world.current["current"]
    assert len(new) == 48
    assert new.isalnum()
    assert world.current["previous"] == FIRST_KEY
    world.clock.at_s += GRACE_S - 60
    world.sweep()
    assert world.current["previous"] == FIRST_KEY
    world.clock.at_s += 61
    world.sweep()
    assert (world.current["current"], world.current["previous"]) == (new, "")
    assert world.current["scope"]["provider"] == "gateway"
    version = world.vault.labelled(ARN, CURRENT)
    world.sweep()
    assert world.vault.labelled(ARN, CURRENT) == version


def test_a_rotation_after_the_overlap_goes_on_from_the_current_key() -> None:
    world = rotated("generated_keys")
    world.clock.at_s += GRACE_S + 1
    world.sweep()
    key = world.current["current"]
    world.rotate(world.start_rotation())
    assert world.current["previous"] == key


def test_a_key_that_a_person_put_survives() -> None:
    world = World("generated_keys")
    world.person_puts_current({"current": "a-person-s-key-1234", "note": "theirs", "previous": FIRST_KEY})
    world.clock.at_s += GRACE_S + 1
    world.sweep()
    assert world.current == {"current": "a-person-s-key-1234", "note": "theirs", "previous": ""}
    world.rotate(world.start_rotation())
    assert world.current["previous"] == "a-person-s-key-1234"


def test_a_key_that_is_put_while_the_overlap_is_ended_stays() -> None:
    world = rotated("generated_keys")
    world.clock.at_s += GRACE_S + 1
    put = world.vault.put_secret_value

    def put_second(**arguments: object) -> object:
        world.vault.put_secret_value = put  # type: ignore[method-assign]
        world.person_puts_current({"current": "a-person-was-faster-123", "previous": ""})
        return put(**arguments)  # type: ignore[arg-type]

    world.vault.put_secret_value = put_second  # type: ignore[method-assign]
    world.sweep()
    assert world.current["current"] == "a-person-was-faster-123"
    assert world.lines()[-1]["Failures"] == 1
    world.sweep()
    assert world.current["current"] == "a-person-was-faster-123"
    assert world.lines()[-1]["Failures"] == 0


@pytest.mark.parametrize(
    ("pending", "reason"),
    [
        ({"current": "new-key-of-a-person-1"}, "`previous` of the pending value is not the current key"),
        ({"current": FIRST_KEY, "previous": FIRST_KEY}, "is not new"),
        ({"current": "short", "previous": FIRST_KEY}, "16 visible ASCII characters"),
        ({"current": "with a blank inside it", "previous": FIRST_KEY}, "16 visible ASCII characters"),
        ({"current": 3}, "`current` of the pending value is a int"),
        ({}, "`current` of the pending value is missing"),
    ],
)
def test_a_pending_pair_that_would_cut_callers_off_is_not_promoted(
    pending: dict[str, object], reason: str
) -> None:
    world = World("generated_keys")
    world.vault.put_secret_value(
        SecretId=ARN, ClientRequestToken=TOKEN, SecretString=json.dumps(pending), VersionStages=[PENDING]
    )
    for step in ("testSecret", "finishSecret"):
        assert reason in fails(lambda step=step: world.step(TOKEN, step))  # type: ignore[misc]
    assert world.current["current"] == FIRST_KEY


def test_a_secret_without_a_current_key_is_not_rotated() -> None:
    world = World("generated_keys")
    world.person_puts_current({"current": "", "previous": FIRST_KEY})
    world.check_always = lambda: None  # type: ignore[method-assign]
    token = world.start_rotation()
    assert "`current` of the current value is empty" in fails(lambda: world.step(token, "createSecret"))


# ---- Google ------------------------------------------------------------------------------------------


def test_an_empty_google_secret_is_not_rotated_and_the_remedy_is_named() -> None:
    world = World("google_service_account", set_by_operator=False)
    token = world.start_rotation()
    assert "put the service account's first key" in fails(lambda: world.step(token, "createSecret"))
    assert not world.google.keys


def test_the_old_google_key_is_deleted_when_its_grace_period_is_over() -> None:
    world = World("google_service_account")
    (old,) = world.google.keys
    world.rotate(world.start_rotation())
    new = world.current["private_key_id"]
    world.sweep()
    assert world.lines()[-1]["done"] == []
    world.clock.at_s += GRACE_S - 60
    world.sweep()
    assert set(world.google.keys) == {old, new}
    world.clock.at_s += 61
    world.sweep()
    assert set(world.google.keys) == {new}
    assert world.vault.labelled(ARN, PREVIOUS) is None
    world.sweep()
    assert world.lines()[-1]["done"] == []


def test_an_old_google_key_that_somebody_deleted_is_done_with() -> None:
    world = World("google_service_account")
    (old,) = world.google.keys
    world.rotate(world.start_rotation())
    del world.google.keys[old]
    world.clock.at_s += GRACE_S + 1
    world.sweep()
    assert world.lines()[-1]["Failures"] == 0
    assert world.vault.labelled(ARN, PREVIOUS) is None


def test_the_grace_period_begins_with_the_promotion() -> None:
    """The rotation may have taken hours."""
    world = World("google_service_account")
    token = world.start_rotation()
    world.step(token, "createSecret")
    world.clock.at_s += 10 * GRACE_S
    world.step(token, "finishSecret")
    world.clock.at_s += GRACE_S / 2
    world.sweep()
    assert len(world.google.keys) == 2


def test_a_second_rotation_within_the_grace_period_leaves_two_keys() -> None:
    world = World("google_service_account")
    for _ in range(2 * MOST_KEYS):
        world.rotate(world.start_rotation())
        world.clock.at_s += 60
        world.sweep()
        assert len(world.google.keys) == 2


def test_a_rotation_gets_through_although_the_current_key_was_deleted_meanwhile() -> None:
    world = rotated("google_service_account")
    token = world.start_rotation()
    world.step(token, "createSecret")
    del world.google.keys[world.current["private_key_id"]]
    world.check_always = lambda: None  # type: ignore[method-assign]
    world.step(token, "testSecret")
    world.step(token, "finishSecret")
    assert world.vault.labelled(ARN, CURRENT) == token
    assert set(world.google.keys) == {world.current["private_key_id"]}


def test_a_new_google_key_may_take_a_minute_to_work() -> None:
    world = World("google_service_account")
    token = world.start_rotation()
    world.step(token, "createSecret")
    pending = json.loads(world.vault.text(ARN, PENDING))
    world.google.unknown_until[pending["private_key_id"]] = 6
    started_s = world.clock.at_s
    world.step(token, "testSecret")
    assert 30 < world.clock.at_s - started_s < 90


def test_the_sweep_leaves_a_new_google_key_the_time_to_work() -> None:
    world = World("google_service_account")
    token = world.start_rotation()
    world.step(token, "createSecret")
    pending = json.loads(world.vault.text(ARN, PENDING))
    world.google.unknown_until[pending["private_key_id"]] = 1
    world.sweep()
    assert world.lines()[-1]["done"] == ["left a rotation alone that began just now"]
    assert world.lines()[-1]["Failures"] == 0


def test_the_sweep_asks_the_provider_nothing_while_a_rotation_is_under_way() -> None:
    world = rotated("google_service_account")
    world.start_rotation()
    asked: list[Request] = []

    def record(request: Request) -> Reply:
        asked.append(request)
        return Reply(status=500, body=b"")

    world.send = record  # type: ignore[method-assign]
    world.sweep()
    assert asked == []


def test_a_rotation_that_begins_during_a_sweep_keeps_its_key() -> None:
    """The sweep has seen no rotation, and the list of keys that it gets holds the new one already."""
    world = rotated("google_service_account")
    answer, put = world.send, world.vault.put_secret_value

    def crash(**_arguments: object) -> object:
        raise CrashError

    def begin_first(request: Request) -> Reply:
        if request.method == "GET":
            world.send = answer  # type: ignore[method-assign]
            world.vault.put_secret_value = crash  # type: ignore[method-assign]
            with world.broken():
                world.step(world.start_rotation(), "createSecret")
            world.vault.put_secret_value = put  # type: ignore[method-assign]
        return answer(request)

    world.send = begin_first  # type: ignore[method-assign]
    world.sweep()
    assert len(world.google.keys) == 3


def test_a_key_that_was_there_before_the_rotation_is_not_taken_for_a_left_over() -> None:
    world = World("google_service_account")
    theirs = world.google.new_key_file()["private_key_id"]
    token = world.start_rotation()
    world.fault.plan(8, "before", "crash")
    with world.broken():
        world.step(token, "createSecret")
    left = world.provider_keys() - {theirs, world.current["private_key_id"]}
    assert len(left) == 1, "the crash has left a key"
    world.rotate(token)
    assert theirs in world.google.keys
    assert not left & set(world.google.keys)


def test_a_left_over_key_that_the_provider_lists_late_is_ended() -> None:
    world = World("google_service_account")
    token = world.start_rotation()
    world.fault.plan(8, "before", "crash")
    with world.broken():
        world.step(token, "createSecret")
    (left,) = world.provider_keys() - {world.current["private_key_id"]}
    public = world.google.keys.pop(left)
    world.rotate(token)
    world.sweep()
    world.google.keys[left] = public
    world.clock.at_s += SIXTEEN_MINUTES_S
    world.sweep()
    assert left not in world.google.keys


def test_a_key_that_a_person_makes_between_rotations_is_not_touched() -> None:
    world = rotated("google_service_account")
    world.clock.at_s += SIXTEEN_MINUTES_S
    world.sweep()
    theirs = world.google.new_key_file()["private_key_id"]
    for _ in range(3):
        world.clock.at_s += GRACE_S
        world.sweep()
    assert theirs in world.google.keys


def test_a_key_that_a_person_replaced_is_the_person_s_to_end() -> None:
    world = World("google_service_account")
    (old,) = world.google.keys
    world.person_puts_current(world.google.new_key_file())
    world.clock.at_s += GRACE_S + 1
    world.sweep()
    world.rotate(world.start_rotation())
    assert old in world.google.keys


def test_another_account_s_keys_are_not_touched() -> None:
    """A person has changed the service account while a rotation was broken off."""
    world = World("google_service_account")
    token = world.start_rotation()
    world.fault.plan(8, "after", "crash")
    with world.broken():
        world.step(token, "createSecret")
    other = world.google.new_key_file(email="other@simulated.iam.gserviceaccount.com")
    world.person_puts_current(other)
    keys = set(world.google.keys)
    world.google.answers_for = other["client_email"]
    for _ in range(3):
        world.clock.at_s += A_DAY_S
        world.sweep()
    assert set(world.google.keys) == keys
    assert world.vault.labelled(ARN, PENDING) is None


def test_a_key_that_is_current_or_pending_again_is_not_ended() -> None:
    world = World("google_service_account")
    first = world.current
    world.rotate(world.start_rotation())
    token = "a-copy-of-the-first-key-0000000000000"
    world.vault.put_secret_value(
        SecretId=ARN,
        ClientRequestToken=token,
        SecretString=json.dumps(first),
        VersionStages=[PENDING],
    )
    world.step(token, "finishSecret")
    assert world.current["private_key_id"] == first["private_key_id"]
    world.clock.at_s += GRACE_S + 1
    world.sweep()
    assert set(world.google.keys) == {first["private_key_id"]}


def test_too_many_keys_of_an_account_are_told_with_the_remedy() -> None:
    world = World("google_service_account")
    for _ in range(MOST_KEYS - 1):
        world.google.new_key_file()
    token = world.start_rotation()
    assert "answered 429 RESOURCE_EXHAUSTED" in fails(lambda: world.step(token, "createSecret"))


@pytest.mark.parametrize("member", ["client_email", "private_key", "private_key_id", "token_uri"])
def test_a_google_key_without_a_member_is_refused_by_its_name(member: str) -> None:
    world = World("google_service_account")
    world.person_puts_current({**world.current, member: ""})
    world.check_always = lambda: None  # type: ignore[method-assign]
    token = world.start_rotation()
    assert f"`{member}` of the current" in fails(lambda: world.step(token, "createSecret"))
    world.check_silent()


# ---- a key by the endpoint's administration -----------------------------------------------------------


def test_the_old_api_key_is_revoked_when_its_grace_period_is_over() -> None:
    world = rotated("api_key_by_administration")
    old = world.current["api_key"]
    world.rotate(world.start_rotation())
    world.clock.at_s += GRACE_S - 60
    world.sweep()
    assert old in world.administration.keys
    world.clock.at_s += 61
    world.sweep()
    assert old not in world.administration.keys
    assert world.current["api_key"] in world.administration.keys


def test_a_service_account_bears_the_name_of_place_and_rotation() -> None:
    world = World("api_key_by_administration")
    token = world.start_rotation()
    world.step(token, "createSecret")
    (key_id,) = world.provider_keys()
    assert world.administration.accounts[key_id][0] == f"ai-orchestration-test-eu-central-1-llama-{token}"


def test_the_administration_makes_the_first_key_as_well() -> None:
    world = World("api_key_by_administration", set_by_operator=False)
    world.rotate(world.start_rotation())
    assert world.current_works()


def test_somebody_else_s_service_account_is_not_deleted() -> None:
    world = World("api_key_by_administration")
    world.person_puts_current({"api_key": "sk-svcacct-other", "key_id": "svc_acct_other"})
    world.rotate(world.start_rotation())
    world.clock.at_s += GRACE_S + 1
    world.sweep()
    assert "svc_acct_other" in world.administration.accounts


def test_without_the_administrator_s_key_the_remedy_is_named() -> None:
    world = World("api_key_by_administration")
    world.vault.create(ADMINISTRATION_ARN, "{}")
    token = world.start_rotation()
    assert 'put {"admin_key": "<key>"} into its secret' in fails(lambda: world.step(token, "createSecret"))


def test_a_wrong_administrator_s_key_is_refused_and_not_repeated() -> None:
    world = World("api_key_by_administration")
    world.vault.create(ADMINISTRATION_ARN, json.dumps({"admin_key": "sk-admin-wrong-key"}))
    token = world.start_rotation()
    reason = fails(lambda: world.step(token, "createSecret"))
    assert "the key administration answered 401 invalid_api_key" in reason
    assert "sk-admin-wrong-key" not in world.said.getvalue()


# ---- a key by hand -----------------------------------------------------------------------------------


def test_nobody_but_a_person_makes_a_key_by_hand() -> None:
    world = World("api_key_by_hand")
    world.vault.rotate_secret(ARN, TOKEN)
    reason = fails(lambda: world.step(TOKEN, "createSecret"))
    assert "--version-stages AWSPENDING" in reason
    assert '{"api_key": "<key>"}' in reason
    assert world.lines()[-1]["Failures"] == 1


@pytest.mark.parametrize("set_by_operator", [True, False])
def test_the_sweep_promotes_what_a_person_put(set_by_operator: bool) -> None:
    world = World("api_key_by_hand", set_by_operator=set_by_operator)
    world.person_puts_pending(TOKEN)
    world.sweep()
    assert world.vault.labelled(ARN, CURRENT) == TOKEN
    assert world.lines()[-1]["done"] == ["promoted the pending value"]
    world.check_settled()


def test_a_person_takes_over_from_a_rotation_that_waits_for_a_key() -> None:
    world = World("api_key_by_hand")
    world.vault.rotate_secret(ARN, "rotation-that-waits-for-a-person-0001")
    world.sweep()
    world.person_puts_pending(TOKEN)
    world.sweep()
    assert world.vault.labelled(ARN, CURRENT) == TOKEN


def test_without_a_test_url_the_shape_of_a_key_is_judged() -> None:
    world = World("api_key_by_hand")
    world.declared = {ARN: {**world.settings, "test_url": None}}
    world.person_puts_pending(TOKEN, api_key="two words")
    world.sweep()
    assert "visible ASCII" in world.lines()[-1]["problems"][0]
    assert "two words" not in world.said.getvalue()
    world.person_puts_pending("another-" + TOKEN, api_key=world.current["api_key"])
    world.sweep()
    assert "is the current one" in world.lines()[-1]["problems"][0]
    world.person_puts_pending("a-third-" + TOKEN)
    world.sweep()
    assert world.lines()[-1]["Failures"] == 0


def test_all_four_steps_are_taken_and_nothing_else() -> None:
    assert STEPS == ("createSecret", "setSecret", "testSecret", "finishSecret")
    world = World("generated_keys")
    token = world.start_rotation()
    world.rotate(token)
    assert [line["step"] for line in world.lines()] == list(STEPS)
    assert world.lines()[1]["result"] == "nothing to set"
