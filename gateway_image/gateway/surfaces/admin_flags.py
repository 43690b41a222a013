"""Administrating flags: what each is and why, setting one, and the kill switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from gateway.control.flag_control import FlagControl
from gateway.control.flag_declaration import Switch
from gateway.control.flag_declarations import DECLARED, KILL_SWITCH_ALL
from gateway.control.flag_rules import declaration_of, text_from_json
from gateway.control.flag_writer import FlagChange, FlagWriter
from gateway.pipeline import Access
from gateway.surfaces.admin_change import Why, ask_stores, author_of, read_change
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, json_answer

ALL = "all"


class FlagBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/admin/flags`; `value` has the JSON type of the flag's kind."""

    flag: str
    value: bool | int | float | str
    why: Why


class KillBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/admin/kill` and `/revive`."""

    provider: Literal["bedrock", "google", "llama", "all"]
    why: Why


_flag_decoder = msgspec.json.Decoder(FlagBody)
_kill_decoder = msgspec.json.Decoder(KillBody)


class AdminFlagsSurface:
    """`/v1/admin/flags`, `/v1/admin/kill` and `/v1/admin/revive`.

    `obeyed` is what this replica goes by.
    """

    def __init__(self, writer: FlagWriter, obeyed: FlagControl) -> None:
        self._writer = writer
        self._obeyed = obeyed

    def routes(self) -> Routes:
        """The paths of this surface."""
        return {
            "/v1/admin/flags": {
                "GET": Endpoint("admin_flags", self.flags, Access.ADMIN),
                "POST": Endpoint("admin_flags_set", self.set, Access.ADMIN),
            },
            "/v1/admin/kill": {"POST": Endpoint("admin_kill", self.kill, Access.ADMIN)},
            "/v1/admin/revive": {"POST": Endpoint("admin_revive", self.revive, Access.ADMIN)},
        }

    async def flags(self, incoming: Incoming) -> Outgoing:  # noqa: ARG002 - every handler takes the request
        """Tell every flag as this replica obeys it."""
        return json_answer({"flags": self._obeyed.describe()})

    async def set(self, incoming: Incoming) -> Outgoing:
        """Change a flag."""
        body = read_change(incoming, _flag_decoder)
        author = author_of(incoming, body.why)
        return await self._changed(
            incoming,
            lambda: self._writer.set(
                body.flag, text_from_json(declaration_of(DECLARED, body.flag), body.value), author
            ),
        )

    async def kill(self, incoming: Incoming) -> Outgoing:
        """Stop a provider, or all."""
        return await self._switch(incoming, Switch.ON)

    async def revive(self, incoming: Incoming) -> Outgoing:
        """Let a provider, or all, be called again."""
        return await self._switch(incoming, Switch.OFF)

    async def _switch(self, incoming: Incoming, to: Switch) -> Outgoing:
        body = read_change(incoming, _kill_decoder)
        author = author_of(incoming, body.why)
        name = KILL_SWITCH_ALL if body.provider == ALL else f"kill-switch.{body.provider}"
        return await self._changed(incoming, lambda: self._writer.set(name, to, author), urgent=True)

    async def _changed(
        self, incoming: Incoming, change: Callable[[], FlagChange], *, urgent: bool = False
    ) -> Outgoing:
        """Make the change, obey it, and only then answer; 200 also where one of two stores failed."""

        def make() -> FlagChange:
            made = change()
            for tier in made.took:
                self._obeyed.refresh_now(tier)
            return made

        made = await ask_stores(incoming, make, urgent=urgent)
        if made.failed:
            incoming.record.problem = "; ".join(f"{store}: {why}" for store, why in made.failed.items())
        obeyed = {state.name: state.text for state in self._obeyed.describe()}
        return json_answer(
            {
                "flag": made.flag,
                "from": made.before,
                "to": made.after,
                "changed_at_ms": made.changed_at_ms,
                "obeyed": obeyed[made.flag],
                "took": made.took,
                "failed": sorted(made.failed),
            }
        )
