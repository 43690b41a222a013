"""The control plane as the gateway sees it: one snapshot per store, and what is still missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from gateway.control.flag_control import FlagControl
from gateway.control.flags import Flags
from gateway.control.registry import Provider, RegistryView
from gateway.control.secrets import KeyRing
from gateway.control.snapshot import Refreshed, Snapshot
from gateway.control.take_up import TakeUp
from gateway.routing.policy import RouteSet


class Credential(msgspec.Struct, frozen=True):
    """Where a provider's credential comes from, and whether getting it was tried.

    `obstacle` says why the provider cannot be called with it, or None where it can. `take_up` knows the one
    in force, and looks for its successor where the provider refuses it.
    """

    snapshot: Refreshed
    tried: Callable[[], bool]
    obstacle: Callable[[], str | None]
    take_up: TakeUp


class ControlPlane(msgspec.Struct, frozen=True):
    """Every snapshot the gateway lives on. `credentials` has an entry per provider that is enabled."""

    registry: Snapshot[RegistryView]
    route_set: Snapshot[RouteSet]
    flags: FlagControl
    client_keys: Snapshot[KeyRing]
    admin_keys: Snapshot[KeyRing]
    credentials: Mapping[Provider, Credential]

    def snapshots(self) -> Iterator[Refreshed]:
        """All snapshots, for starting, stopping and telling their age."""
        yield from self.flags.readers
        yield from (self.registry, self.route_set, self.client_keys, self.admin_keys)
        yield from (credential.snapshot for credential in self.credentials.values())

    def start(self) -> None:
        """Begin to refresh every snapshot; returns at once."""
        for snapshot in self.snapshots():
            snapshot.start()

    def stop(self) -> None:
        """End the refreshing."""
        for snapshot in self.snapshots():
            snapshot.stop()

    def missing(self) -> tuple[str, ...]:
        """Names of the snapshots without which no request can be answered; empty when ready.

        Providers stand in for each other, so of these it is enough that getting a credential was tried once.
        Flags have built-in defaults, but those say nothing of what is killed, so a tier must have answered.
        """
        needed: tuple[Refreshed, ...] = (self.registry, self.route_set, self.client_keys)
        waiting = [snapshot.name for snapshot in needed if snapshot.age_s is None]
        if not self.flags.known:
            waiting.append("flags")
        untried = [each.snapshot.name for each in self.credentials.values() if not each.tried()]
        return (*waiting, *untried)

    def flags_in_force(self) -> Flags:
        """The last known flags, or the built-in ones."""
        return self.flags.value

    def unconfigured(self) -> Mapping[Provider, str]:
        """Providers that cannot be called, with the reason."""
        reasons: dict[Provider, str] = {}
        for provider in Provider:
            credential = self.credentials.get(provider)
            if credential is None:
                reasons[provider] = "the provider is disabled in this environment"
                continue
            obstacle = credential.obstacle()
            if obstacle is not None:
                reasons[provider] = obstacle
        return reasons
