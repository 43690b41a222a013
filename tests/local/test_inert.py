"""Every resource type of the local environment is deployed for real, or listed as what it is."""

from __future__ import annotations

import json
import subprocess

import pytest

from local.emulator.inert import ACCEPTED, RECORDED
from local.servers import emulator_python
from local.state import PROJECT
from local.status import inert_lines
from tests.stacks.synthesis import load_environment, synthesise

QUESTION = """
import json
from local.emulator.registration import handled_types, native_types
print(json.dumps({"native": sorted(native_types()), "handled": sorted(handled_types())}))
"""


@pytest.fixture(scope="module")
def types_of_the_emulator() -> dict[str, list[str]]:
    answer = subprocess.run(
        [str(emulator_python()), "-c", QUESTION], cwd=PROJECT, capture_output=True, check=True, timeout=60
    )
    return dict(json.loads(answer.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def types_of_the_stacks(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    synthesis = synthesise(load_environment("local"), tmp_path_factory.mktemp("assembly"))
    return {resource.type for resource in synthesis.resources()}


def test_every_type_of_the_stacks_is_handled(
    types_of_the_stacks: set[str], types_of_the_emulator: dict[str, list[str]]
) -> None:
    unknown = types_of_the_stacks - set(types_of_the_emulator["handled"])
    assert unknown == set(), "give them a handler in local/emulator/ or list them in local/emulator/inert.py"


def test_what_is_merely_accepted_has_no_handler_of_the_emulators_own(
    types_of_the_emulator: dict[str, list[str]],
) -> None:
    assert set(ACCEPTED) & set(types_of_the_emulator["native"]) == set()


def test_what_is_listed_as_recorded_is_handled(types_of_the_emulator: dict[str, list[str]]) -> None:
    assert set(RECORDED) <= set(types_of_the_emulator["handled"])
    assert not set(RECORDED) & set(ACCEPTED)


def test_status_lists_a_deployed_type_that_does_nothing_and_what_is_missing() -> None:
    lines = list(inert_lines(frozenset({"AWS::ApplicationAutoScaling::ScalingPolicy", "AWS::EC2::EIP"})))
    assert lines[0] == "Accepted, but does nothing:"
    assert "AWS::ApplicationAutoScaling::ScalingPolicy" in lines[1]
    assert lines[2].startswith("Recorded")
    assert "AWS::EC2::EIP" in lines[3]
    assert len(lines) == 4
