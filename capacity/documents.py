"""Keeps the outputs that documents show true: `make documents` writes them, a test compares them.

A document marks the place: `<!-- output of: python -m capacity … -->`, the output, `<!-- end of output -->`.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from capacity.errors import CapacityError
from capacity.plan import Plan
from capacity.plan_command import PlanRequest, make_plans
from capacity.throughput import read_throughput

ROOT = Path(__file__).parent.parent
DOCUMENTS = (Path("docs/scaling.md"), Path("docs/costs.md"))
PICTURED = "production"
PICTURE = Path("docs/scaling") / f"{PICTURED}.svg"

_MARKED = re.compile(
    r"(<!-- output of: python -m capacity (.+?) -->\n)(.*?)(<!-- end of output -->)", re.DOTALL
)

Command = Callable[[Sequence[str]], int]


def write_documents(run: Command) -> None:
    """Put the present outputs into every document; `run` is the command line's main function."""
    from capacity.plan_picture import draw  # takes a second to load

    draw(_pictured(), ROOT / PICTURE.with_suffix(""), kinds=("svg",))
    for document in DOCUMENTS:
        file = ROOT / document
        file.write_text(with_present_outputs(file.read_text(encoding="utf-8"), run), encoding="utf-8")


def differences(document: Path, run: Command) -> str:
    """What a document shows and the commands do not print, as a diff; empty where they agree."""
    shown = (ROOT / document).read_text(encoding="utf-8")
    present = with_present_outputs(shown, run)
    return "\n".join(_diff(shown, present, document))


def picture_is_present() -> bool:
    """Whether the picture shows the plan as it is now."""
    from capacity.plan_picture import fingerprint  # takes a second to load

    return f"plan {fingerprint(_pictured())}" in (ROOT / PICTURE).read_text(encoding="utf-8")


def _pictured() -> Sequence[Plan]:
    return make_plans(PlanRequest(environment=PICTURED), read_throughput())


def with_present_outputs(text: str, run: Command) -> str:
    """The document with what its commands print now."""
    if not _MARKED.search(text):
        raise CapacityError("document", why="it marks no output", fix=f"see {Path(__file__).name}")
    return _MARKED.sub(
        lambda found: found[1] + _as_markdown(_output(shlex.split(found[2]), run)) + found[4], text
    )


def _output(arguments: Sequence[str], run: Command) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = run(arguments)
    if status:
        raise CapacityError(
            f"python -m capacity {shlex.join(arguments)}",
            why=f"it ended with status {status}",
            fix="run it and read its message",
        )
    return printed.getvalue().strip()


def _as_markdown(output: str) -> str:
    return f"{output}\n" if output.startswith("|") else f"```text\n{output}\n```\n"


def _diff(shown: str, present: str, document: Path) -> Iterator[str]:
    yield from difflib.unified_diff(
        shown.splitlines(), present.splitlines(), str(document), "what the command prints", lineterm="", n=1
    )
