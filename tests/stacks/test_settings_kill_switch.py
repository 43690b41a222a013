"""Which alarms may pull which kill switch: only those that exist, and only switches that exist."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stacks.settings import Environment, SettingsError, load
from tests.stacks.synthesis import ENVIRONMENTS, load_environment


def with_pulled_by(text: str, folder: Path) -> Environment:
    file = Path(shutil.copytree(ENVIRONMENTS, folder / "environments")) / "production.toml"
    settings = file.read_text()
    assert "pulled_by = {}" in settings
    file.write_text(settings.replace("pulled_by = {}", f"pulled_by = {text}"))
    return load(file)


@pytest.mark.parametrize("name", ["development", "staging", "production"])
def test_no_alarm_pulls_a_switch_where_somebody_could_be_harmed(name: str) -> None:
    assert load_environment(name).kill_switch.pulled_by == {}


def test_an_alarm_and_what_it_stops_are_read(tmp_path: Path) -> None:
    environment = with_pulled_by('{ ErrorRate = "all", Latency = "llama" }', tmp_path)
    assert environment.kill_switch.pulled_by == {"ErrorRate": "all", "Latency": "llama"}


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ('{ ErrorRte = "all" }', "kill_switch.pulled_by.ErrorRte", "'ErrorRate', 'Latency'"),
        ('{ FlagUpdateErrors = "all" }', "kill_switch.pulled_by.FlagUpdateErrors", "'ErrorRate'"),
        ('{ ErrorRate = "openai" }', "kill_switch.pulled_by.ErrorRate", "'all', 'bedrock', 'google'"),
        ("{ ErrorRate = true }", "kill_switch.pulled_by.ErrorRate", "'all', 'bedrock', 'google'"),
        ('["ErrorRate"]', "kill_switch.pulled_by", "it should be an object"),
    ],
)
def test_anything_else_is_refused_by_its_key_with_what_there_is(
    tmp_path: Path, text: str, key: str, remedy: str
) -> None:
    with pytest.raises(SettingsError) as error:
        with_pulled_by(text, tmp_path)
    assert key in str(error.value)
    assert remedy in str(error.value)
