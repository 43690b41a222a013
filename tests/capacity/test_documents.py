"""What the documents show is what the commands print."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from capacity.__main__ import main
from capacity.documents import differences, picture_is_present, with_present_outputs
from capacity.errors import CapacityError
from capacity.throughput import read_throughput

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)  # synthesises three environments
@pytest.mark.parametrize("document", ["docs/scaling.md", "docs/costs.md"])
def test_a_document_shows_what_its_commands_print(document: str) -> None:
    different = differences(Path(document), main)
    assert not different, f"{document} is out of date: run `make documents`\n{different}"


def test_the_picture_shows_the_plan_of_today() -> None:
    assert picture_is_present(), "docs/scaling/production.svg is out of date: run `make documents`"


def test_the_throughput_planned_with_is_not_better_than_the_benchmark() -> None:
    benchmark = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    of_requests = benchmark.partition("CPU ms a stream")[0]
    measured = [float(row) for row in re.findall(r"^\s+gateway, .*\s([\d.]+)$", of_requests, re.MULTILINE)]
    planned = read_throughput().gateway.cpu_ms_per_request
    assert measured, "docs/benchmarks.md has no rows that begin with «gateway, »"
    assert max(measured) <= planned, (
        "capacity/throughput.toml plans with less CPU than docs/benchmarks.md shows"
    )


def test_the_examples_named_in_the_document_are_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def printing(text: str, status: int = 0) -> object:
    def run(arguments: Sequence[str]) -> int:
        print(text.format(*arguments))
        return status

    return run


def test_an_output_is_put_between_its_marks_and_nothing_else_changes() -> None:
    shown = "before\n<!-- output of: python -m capacity plan x -->\nold\n<!-- end of output -->\nafter\n"
    present = with_present_outputs(shown, printing("{0} of {1}"))  # type: ignore[arg-type]
    assert present == shown.replace("old\n", "```text\nplan of x\n```\n")
    assert with_present_outputs(present, printing("{0} of {1}")) == present  # type: ignore[arg-type]


def test_a_table_stays_a_table() -> None:
    shown = "<!-- output of: python -m capacity costs -->\n<!-- end of output -->"
    assert "-->\n| a |\n<!--" in with_present_outputs(shown, printing("| a |"))  # type: ignore[arg-type]


def test_a_command_that_fails_is_no_output() -> None:
    shown = "<!-- output of: python -m capacity plan x -->\n<!-- end of output -->"
    with pytest.raises(CapacityError, match="ended with status 1"):
        with_present_outputs(shown, printing("", status=1))  # type: ignore[arg-type]


def test_a_document_without_marks_is_a_mistake() -> None:
    with pytest.raises(CapacityError, match="marks no output"):
        with_present_outputs("no marks", main)
