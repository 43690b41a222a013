"""Administrating models: what is registered and what was seen of it; proposing versions; moving them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gateway.control.registry import Lifecycle, RegistryItem, RegistryView, Version
from gateway.control.registry_changes import Move, RegistryChanges
from gateway.control.registry_table import RegistryTable
from gateway.control.snapshot import Snapshot
from gateway.pipeline import Access
from gateway.routing.policy import ModelKey, RouteSet
from gateway.surfaces.admin_change import Why, ask_stores, author_of, read_change
from gateway.surfaces.invalid import invalid
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, json_answer
from gateway.telemetry.observed import Observed, ObservedModels


class ProposeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/admin/models`."""

    item: RegistryItem
    why: Why


class LifecycleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/admin/models/lifecycle`."""

    key: ModelKey
    version: Version
    to: Lifecycle
    why: Why


class Registered(msgspec.Struct, frozen=True):
    """A version: what is declared of it, and apart from that what this replica has seen."""

    key: str
    version: str
    lifecycle: Lifecycle
    declared: RegistryItem
    observed: Observed | None


class Models(msgspec.Struct, frozen=True):
    """Everything registered; `problems` names items that are unreadable."""

    models: Sequence[Registered]
    problems: Sequence[str]


_propose_decoder = msgspec.json.Decoder(ProposeBody)
_lifecycle_decoder = msgspec.json.Decoder(LifecycleBody)


class AdminModelsSurface:
    """`GET` and `POST /v1/admin/models`, `POST /v1/admin/models/lifecycle`.

    `in_force` reads the route set in force, and blocks. `snapshot` is what this replica goes by.
    """

    def __init__(
        self,
        table: RegistryTable,
        changes: RegistryChanges,
        *,
        in_force: Callable[[], RouteSet],
        snapshot: Snapshot[RegistryView],
        observed: ObservedModels,
    ) -> None:
        self._table = table
        self._changes = changes
        self._in_force = in_force
        self._snapshot = snapshot
        self._observed = observed

    def routes(self) -> Routes:
        """The paths of this surface."""
        return {
            "/v1/admin/models": {
                "GET": Endpoint("admin_models", self.models, Access.ADMIN),
                "POST": Endpoint("admin_models_propose", self.propose, Access.ADMIN),
            },
            "/v1/admin/models/lifecycle": {
                "POST": Endpoint("admin_models_lifecycle", self.move, Access.ADMIN)
            },
        }

    async def models(self, incoming: Incoming) -> Outgoing:
        """Tell every version."""
        loaded = await ask_stores(incoming, lambda: self._table.load(None))
        items = [loaded.value[keys] for keys in sorted(loaded.value)]
        told = [
            Registered(
                item.key, item.version, item.lifecycle, item, self._observed.told(item.key, item.version)
            )
            for item in items
        ]
        return json_answer(Models(told, loaded.problems))

    async def propose(self, incoming: Incoming) -> Outgoing:
        """Add a draft: 201 where it is new, 200 where exactly this version is there."""
        body = read_change(incoming, _propose_decoder)
        author = author_of(incoming, body.why)
        item = body.item
        if item.lifecycle is not Lifecycle.DRAFT:
            incoming.record.problem = f"{item.key} version {item.version} was proposed as {item.lifecycle}"
            raise invalid(
                f"A version is proposed as a draft, not as {item.lifecycle}; move it on afterwards.",
                "item.lifecycle",
            )

        def register() -> bool:
            created = self._changes.register(item, author)
            self._snapshot.refresh()
            return created

        created = await ask_stores(incoming, register)
        told = {"key": item.key, "version": item.version, "created": created}
        return json_answer(told, 201 if created else 200)

    async def move(self, incoming: Incoming) -> Outgoing:
        """Move a version to another state of its life."""
        body = read_change(incoming, _lifecycle_decoder)
        author = author_of(incoming, body.why)

        def move() -> Move:
            made = self._changes.move(body.key, body.version, body.to, in_force=self._in_force, author=author)
            self._snapshot.refresh()
            return made

        made = await ask_stores(incoming, move)
        return json_answer(
            {
                "key": body.key,
                "version": body.version,
                "from": made.before,
                "to": made.after,
                "action": made.action,
            }
        )
