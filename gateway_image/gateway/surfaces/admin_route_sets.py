"""Administrating route sets: the one in force, its history, the library, activation and rollback."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.control.registry import Version
from gateway.control.route_set_activation import Activation, Past, RouteSetInForce
from gateway.control.route_set_library import Proposed, RouteSetLibrary
from gateway.control.snapshot import Snapshot
from gateway.pipeline import Access
from gateway.routing.policy import RouteSet, RouteSetName
from gateway.surfaces.admin_change import Why, ask_stores, author_of, read_change
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, json_answer


class ProposeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/admin/route-sets`."""

    route_set: RouteSet
    why: Why


class ActivateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/admin/route-sets/activate`."""

    name: RouteSetName
    version: Version
    why: Why


class RollbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/admin/route-sets/rollback`."""

    why: Why


class RouteSets(msgspec.Struct, frozen=True):
    """Everything there is of route sets. `obeyed` is what this replica goes by."""

    in_force: Past
    obeyed: str | None
    history: Sequence[Past]
    library: Sequence[Proposed]


_propose_decoder = msgspec.json.Decoder(ProposeBody)
_activate_decoder = msgspec.json.Decoder(ActivateBody)
_rollback_decoder = msgspec.json.Decoder(RollbackBody)


class AdminRouteSetsSurface:
    """`/v1/admin/route-sets` and below. `snapshot` is what this replica goes by."""

    def __init__(
        self, library: RouteSetLibrary, in_force: RouteSetInForce, snapshot: Snapshot[RouteSet]
    ) -> None:
        self._library = library
        self._in_force = in_force
        self._snapshot = snapshot

    def routes(self) -> Routes:
        """The paths of this surface."""
        return {
            "/v1/admin/route-sets": {
                "GET": Endpoint("admin_route_sets", self.route_sets, Access.ADMIN),
                "POST": Endpoint("admin_route_sets_propose", self.propose, Access.ADMIN),
            },
            "/v1/admin/route-sets/activate": {
                "POST": Endpoint("admin_route_sets_activate", self.activate, Access.ADMIN)
            },
            "/v1/admin/route-sets/rollback": {
                "POST": Endpoint("admin_route_sets_rollback", self.rollback, Access.ADMIN)
            },
        }

    async def route_sets(self, incoming: Incoming) -> Outgoing:
        """Tell what is in force, what was, and what is proposed."""

        def read() -> RouteSets:
            obeyed = self._snapshot.value
            return RouteSets(
                in_force=self._in_force.read(),
                obeyed=obeyed.policy_version if obeyed is not None else None,
                history=self._in_force.history(),
                library=self._library.listed(),
            )

        return json_answer(await ask_stores(incoming, read))

    async def propose(self, incoming: Incoming) -> Outgoing:
        """Put a route set into the library: 201 where it is new, 200 where exactly this is there.

        What would speak against activating it now is told, and does not speak against proposing it.
        """
        body = read_change(incoming, _propose_decoder)
        author = author_of(incoming, body.why)

        def propose() -> tuple[bool, tuple[str, ...]]:
            problems = self._in_force.problems(msgspec.json.encode(body.route_set).decode())
            return self._library.propose(body.route_set, author), problems

        created, problems = await ask_stores(incoming, propose)
        told = {
            "name": body.route_set.name,
            "version": body.route_set.version,
            "created": created,
            "problems": problems,
        }
        return json_answer(told, 201 if created else 200)

    async def activate(self, incoming: Incoming) -> Outgoing:
        """Put a route set of the library into force; this replica goes by it before it answers."""
        body = read_change(incoming, _activate_decoder)
        author = author_of(incoming, body.why)

        def activate() -> Activation:
            made = self._in_force.activate(self._library.text(body.name, body.version), author)
            self._snapshot.refresh()
            return made

        return _told(await ask_stores(incoming, activate))

    async def rollback(self, incoming: Incoming) -> Outgoing:
        """Put the route set before into force; this replica goes by it before it answers."""
        body = read_change(incoming, _rollback_decoder)
        author = author_of(incoming, body.why)

        def roll_back() -> Activation:
            made = self._in_force.rollback(author)
            self._snapshot.refresh()
            return made

        return _told(await ask_stores(incoming, roll_back))


def _told(made: Activation) -> Outgoing:
    warning = (
        f"{made.overtook} other change of the route set came in between and was replaced; look at the history"
        if made.overtook
        else None
    )
    return json_answer(
        {
            "from": made.before,
            "to": made.after,
            "parameter_version": made.parameter_version,
            "warning": warning,
        }
    )
