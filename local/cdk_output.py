"""What a failed CDK command said, reduced to what its reader can act on."""

from __future__ import annotations

import re
from pathlib import Path

from local.progress import StepError

_UNKNOWN_TYPE = re.compile(r"Unrecognized resource types: \[([^\]]+)\]")
_FAILED_RESOURCES = "Failed resources:"
_LINES = 12


def failure(command: str, output: str, log: Path) -> StepError:
    """The error for a failed `cdk <command>`: reason, remedy, and the lines that tell why."""
    unknown = _UNKNOWN_TYPE.search(output)
    if unknown:
        return StepError(
            f"the emulator knows no resource type {unknown.group(1)}",
            "give it a handler in local/emulator/, or list it in local/emulator/inert.py "
            "with the attributes it must return",
        )
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    return StepError(
        f"`cdk {command}` failed", f"read {log}, correct the cause, `make up`", "\n".join(_telling(lines))
    )


def _telling(lines: list[str]) -> list[str]:
    """CloudFormation's failed resources where there are any, else the first error's surroundings."""
    if _FAILED_RESOURCES in lines:
        failed = lines[lines.index(_FAILED_RESOURCES) + 1 :]
        end = next((index for index, line in enumerate(failed) if line.startswith("❌")), len(failed))
        return failed[:end][:_LINES]
    first = next((index for index, line in enumerate(lines) if "Error" in line or "❌" in line), None)
    return lines[-_LINES:] if first is None else lines[first : first + _LINES]
