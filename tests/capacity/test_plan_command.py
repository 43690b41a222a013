"""`make plan` as an operator meets it: readable, quick, and clear about what is wrong."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from capacity.__main__ import main
from capacity.plan_command import PlanRequest, make_plans
from capacity.plan_picture import draw
from capacity.throughput import read_throughput

WIDTH = 100

TRAFFIC = "timestamp,requests_per_s,p50_ms,p95_ms\n" + "".join(
    f"2026-11-16T{hour:02}:{minute:02}:00Z,{200 + 10 * minute},900,2500\n"
    for hour in (8, 9)
    for minute in range(60)
)


def plan(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["plan", *arguments, "--no-picture"]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


@pytest.fixture
def traffic(tmp_path: Path) -> str:
    file = tmp_path / "traffic.csv"
    file.write_text(TRAFFIC)
    return str(file)


@pytest.mark.parametrize("environment", ["local", "development", "staging", "production"])
def test_every_environment_can_be_planned_and_holds_its_target(
    capsys: pytest.CaptureFixture[str], environment: str
) -> None:
    output = plan(capsys, environment)
    assert "EUR a month for the tasks" in output
    assert "warning:" not in output
    assert max(map(len, output.splitlines())) <= WIDTH


def test_every_hour_of_a_given_traffic_is_listed(capsys: pytest.CaptureFixture[str], traffic: str) -> None:
    lines = plan(capsys, "production", "--traffic", traffic).splitlines()
    assert [line.split()[2] for line in lines if line.startswith("Mon 16")] == ["09:00", "10:00"]
    assert max(map(len, lines)) <= WIDTH


def test_hours_can_be_asked_for_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    every = plan(capsys, "development", "--hours").splitlines()
    assert len([line for line in every if ":00  " in line]) >= 7 * 24
    brief = plan(capsys, "development", "--brief").splitlines()
    assert len(brief) < 20


def test_two_sections_stand_side_by_side(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, traffic: str
) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[scaling]\ncpu_target_percent = 30\nscheduled_floors = []\n")
    output = plan(capsys, "production", "--traffic", traffic, "--compare", str(other))
    assert [line.split() for line in output.splitlines() if line.startswith("cpu_target")] == [
        ["cpu_target_percent", "55", "30"]
    ]
    assert any(line.split() == ["scheduled_floors", "6/3", "none"] for line in output.splitlines())
    assert max(len(line) for line in output.splitlines() if str(tmp_path) not in line) <= WIDTH


def test_a_complete_section_is_compared_as_it_is_without_the_floors_it_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = plan(capsys, "staging", "--compare", "environments/development.toml", "--brief")
    differing = [line.split() for line in output.splitlines()]
    assert ["tasks_maximum", "6", "3"] in differing
    assert ["scheduled_floors", "3/2", "none"] in differing


def test_the_same_plan_is_printed_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(capsys, "staging", "--brief") == plan(capsys, "staging", "--brief")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nowhere",), "use one of: development, local, production, staging"),
        (("production", "--traffic", "missing.csv"), "missing.csv\n    why: it cannot be read: No such file"),
        (
            ("production", "--compare", "missing.toml"),
            "missing.toml\n    why: it cannot be read: No such file",
        ),
        (("production", "--peak", "-3"), "PEAK=-3\n    why: it is no load"),
        (("production", "--peak", "nan"), "PEAK=nan"),
        (("production", "--peak", "many"), "PEAK=many\n    why: it is no number"),
        (("production", "--peak", "5", "--traffic", "x.csv"), "leave one of them out"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_message(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    message = plan(capsys, *arguments, status=1)
    assert expected in message
    assert "fix:" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[scaling\n", "it is no TOML"),
        ("[network]\n", "it has no section [scaling]"),
        ("scaling = 3\n", "it has no section [scaling]"),
        ("[scaling]\ncpu_target_percent = 130\n", "scaling.cpu_target_percent = 130"),
        ("[scaling]\ncpu_target = 50\n", "did you mean cpu_target_percent?"),
        ("[scaling]\ntasks_maximum = 1\n", "it is below scaling.tasks_minimum"),
    ],
)
def test_a_section_with_mistakes_is_refused_with_its_own_file_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, expected: str
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(text)
    message = plan(capsys, "production", "--compare", str(other), status=1)
    assert expected in message
    assert str(other) in message


def test_a_mistake_that_follows_outside_the_section_names_the_environments_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[scaling]\ncpu_target_percent = 88\n")
    message = plan(capsys, "production", "--compare", str(other), status=1)
    assert "environments/production.toml: monitoring.cpu_alarm_percent" in message


def test_the_pictures_are_drawn_alike_every_time_and_say_what_they_show(tmp_path: Path, traffic: str) -> None:
    other = Path("environments/production.toml")
    request = PlanRequest(environment="staging", traffic=Path(traffic), compare=other)
    plans = make_plans(request, read_throughput())
    first = draw(plans, tmp_path / "first" / "staging")
    second = draw(plans, tmp_path / "second" / "staging")
    assert [file.suffix for file in first] == [".png", ".svg"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    assert first[0].read_bytes().startswith(b"\x89PNG")
    svg = ElementTree.parse(first[1])  # noqa: S314 - our own file
    assert svg.getroot().tag.endswith("svg")
    assert "plan " in first[1].read_text()


def test_the_command_line_ends_with_one_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("timestamp;requests_per_s\n")
    finished = subprocess.run(
        [sys.executable, "-m", "capacity", "plan", "production", "--traffic", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TZ": "America/Lima", "LC_ALL": "C"},
    )
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 3
    assert "separated by semicolons" in finished.stderr
