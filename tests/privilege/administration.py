"""The administrators' calls, made to a gateway that runs with the task role's credentials."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Outcome: TypeAlias = tuple[str, str | None]
ROUTE_SET = Path(__file__).parents[2] / "environments/route-sets/default.toml"
WHY = "an exercise"


class Asked(Protocol):
    """A running gateway."""

    def ask(self, method: str, path: str, body: object = None, *, admin: bool = False) -> tuple[int, Any]:
        """Status and decoded body."""
        ...


def administration(process: Asked, run: str, item: Mapping[str, object]) -> Iterator[Outcome]:
    """Register and move a version, propose, activate and take back a route set, write the flags' stores.

    Everything ends as it was: the version is retired, the route set rolled back, and the switch that is put
    off was off.
    """
    key = {"key": f"{item['provider']}#{item['model']}", "version": item["version"]}
    yield "adds a version to the registry", _change(process, "models", {"item": item}, 201)
    yield "recognises a version that is there", _change(process, "models", {"item": item}, 200)
    yield "moves a version on", _change(process, "models/lifecycle", {**key, "to": "retired"}, 200)
    route_set = _route_set(process, run)
    named = {"name": route_set["name"], "version": route_set["version"]}
    yield "proposes a route set", _change(process, "route-sets", {"route_set": route_set}, 201)
    yield "tells of the route sets", _look(process, "route-sets")
    yield "activates a route set", _change(process, "route-sets/activate", named, 200)
    yield "takes a route set back", _change(process, "route-sets/rollback", {}, 200)
    yield "writes both stores of a kill switch", _revive(process)
    yield "tells the audit records", _look(process, "audit?subject=route-set")


def _route_set(process: Asked, run: str) -> dict[str, Any]:
    """What is in force under another version, so that nobody is routed otherwise."""
    status, told = process.ask("GET", "/v1/admin/route-sets", admin=True)
    text = told["in_force"]["text"] if status == 200 else json.dumps(tomllib.loads(ROUTE_SET.read_text()))
    suffix = "".join(letter for letter in run.lower() if letter.isalnum() and letter.isascii())
    return {**json.loads(text), "version": f"2026-11-01.{suffix}"}


def _change(process: Asked, path: str, body: Mapping[str, object], expected: int) -> str | None:
    status, answer = process.ask("POST", f"/v1/admin/{path}", {**body, "why": WHY}, admin=True)
    return None if status == expected else f"{status} instead of {expected}: {json.dumps(answer)[:160]}"


def _look(process: Asked, path: str) -> str | None:
    status, answer = process.ask("GET", f"/v1/admin/{path}", admin=True)
    return None if status == 200 else f"{status}: {json.dumps(answer)[:160]}"


def _revive(process: Asked) -> str | None:
    body = {"provider": "llama", "why": WHY}
    status, answer = process.ask("POST", "/v1/admin/revive", body, admin=True)
    if status != 200:
        return f"{status}: {json.dumps(answer)[:160]}"
    return f"not written: {answer['failed']}" if answer["failed"] else None
