"""The tasks of the service: starting, in service, draining."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Fleet:
    """Tasks over time. Seconds are those of the simulation's clock.

    A task is paid for from its start until it has drained; it serves from `start_s` after its start until it
    is told to leave, and then finishes what it has for at most `drain_time_s`.
    """

    in_service: int
    start_s: float
    drain_time_s: float
    _ready_at: list[float] = field(default_factory=list)
    _gone_at: list[float] = field(default_factory=list)

    @property
    def paid(self) -> int:
        """Tasks that cost money now."""
        return self.in_service + len(self._ready_at) + len(self._gone_at)

    @property
    def staying(self) -> int:
        """Tasks that serve or will."""
        return self.in_service + len(self._ready_at)

    @property
    def settled(self) -> bool:
        """Whether nothing starts and nothing drains."""
        return not self._ready_at and not self._gone_at

    def advance(self, now_s: float) -> None:
        """Let what is due by now arrive or disappear."""
        self.in_service += sum(at <= now_s for at in self._ready_at)
        self._ready_at = [at for at in self._ready_at if at > now_s]
        self._gone_at = [at for at in self._gone_at if at > now_s]

    def aim_at(self, desired: int, now_s: float) -> None:
        """Start or stop tasks until `desired` stay; those that have not started yet are stopped first."""
        missing = desired - self.staying
        if missing > 0:
            self._ready_at += [now_s + self.start_s] * missing
            return
        for _ in range(-missing):
            if self._ready_at:
                self._ready_at.pop()
            else:
                self.in_service -= 1
                self._gone_at.append(now_s + self.drain_time_s)
