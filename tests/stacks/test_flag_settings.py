"""The settings of the flag database: off everywhere, and refused with the reason where they cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stacks.settings import Mistake, SettingsError, load
from stacks.settings_command import ENVIRONMENTS


@pytest.mark.parametrize("name", ["local", "development", "staging", "production"])
def test_no_environment_has_a_database_unless_somebody_wishes_for_it(name: str) -> None:
    assert load(ENVIRONMENTS / f"{name}.toml").flags.database is False


def mistakes(folder: Path, name: str, *changes: tuple[str, str]) -> dict[str, Mistake]:
    copy = Path(shutil.copytree(ENVIRONMENTS, folder / "environments")) / f"{name}.toml"
    text = copy.read_text()
    before, _, after = text.partition("[flags]\n")
    for old, new in (("database = false", "database = true"), *changes):
        if old in after:
            after = after.replace(old, new, 1)
        else:
            assert old in before, old
            before = before.replace(old, new)
    copy.write_text(f"{before}[flags]\n{after}")
    try:
        load(copy)
    except SettingsError as error:
        return {mistake.key: mistake for mistake in error.mistakes}
    return {}


def test_it_can_be_turned_on(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "production") == {}


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        (
            ("database_minimum_capacity = 0.5", "database_minimum_capacity = 8.0"),
            "flags.database_maximum_capacity",
            "it is below flags.database_minimum_capacity, 8",
        ),
        (
            ("database_instances = 2", "database_instances = 1"),
            "flags.database_instances",
            "in production the loss of one zone",
        ),
        (
            ('["eu-central-1a", "eu-central-1b", "eu-central-1c"]', '["eu-central-1a", "eu-central-1b"]'),
            None,
            "",
        ),
        (("database_minimum_capacity = 0.5", "database_minimum_capacity = 0.7"), "flags", "multiple of 0.5"),
        (("database_minimum_capacity = 0.5", "database_minimum_capacity = 0.0"), "flags", ""),
        (("database_backup_days = 14", "database_backup_days = 0"), "flags.database_backup_days", ""),
    ],
)
def test_bounds_are_held(tmp_path: Path, change: tuple[str, str], key: str | None, reason: str) -> None:
    found = mistakes(tmp_path, "production", change)
    if key is None:
        assert "flags.database_instances" not in found
        return
    (mistake,) = [one for name, one in found.items() if name.startswith(key)]
    assert reason in mistake.reason


def test_more_instances_than_zones_are_refused(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "local", ("database_instances = 1", "database_instances = 3"))
    assert found["flags.database_instances"].reason == "there are only 2 zones to put them in"


def test_a_region_whose_roots_nobody_has_is_refused(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        "development",
        ('region = "eu-central-1"', 'region = "eu-north-9"'),
        ("eu-central-1", "eu-north-9"),
    )
    assert "no root certificates of Amazon RDS in eu-north-9" in found["flags.database"].reason
