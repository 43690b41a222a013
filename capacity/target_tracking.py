"""What Application Auto Scaling does with two target tracking policies on an ECS service.

Documented, and kept to:

* metrics come once a minute; a policy rounds so as to add enough and to remove not too much; it scales out in
  proportion to the metric; it scales out where any policy wants to and in only where all do:
  https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-autoscaling-targettracking.html
* of several policies the largest capacity wins, both ways:
  https://docs.aws.amazon.com/cli/latest/reference/application-autoscaling/put-scaling-policy.html
* cool-downs: after a scale-out has succeeded, only a larger one happens until the cool-down is over, and
  what was just added counts as part of it; a scale-in waits for its own cool-down, which a scale-out ends:
  https://docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html

Observed, not promised by AWS (the alarms it creates show it): scaling out takes three minutes in a row above
the target, scaling in fifteen below nine tenths of it, and an activity has succeeded once the tasks run.
Assumed, on the careful side: a metric is seen one minute after its own has ended, and one step in removes a
tenth of the tasks, at least one ("scales in more gradually").
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

PERIOD_S = 60
METRIC_DELAY_S = 60
"""A minute's value can be acted on this long after the minute has ended."""

METRIC_AGE_S = PERIOD_S + METRIC_DELAY_S
"""Age of the oldest request in the newest value."""

DATAPOINTS_OUT = 3
DATAPOINTS_IN = 15
SCALE_IN_THRESHOLD = 0.9
SCALE_IN_SHARE = 0.1

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One target tracking policy: `key` is the setting its target comes from."""

    key: str
    target: float


@dataclass(frozen=True, kw_only=True)
class Cooldowns:
    """Seconds after an activity has succeeded."""

    scale_out_s: int
    scale_in_s: int


@dataclass
class PolicyHistory:
    """What a policy has seen: the newest value last."""

    policy: Policy
    values: deque[float] = field(default_factory=lambda: deque(maxlen=DATAPOINTS_IN))

    @property
    def wants_out(self) -> bool:
        """Whether its high alarm is in alarm."""
        recent = list(self.values)[-DATAPOINTS_OUT:]
        return len(recent) == DATAPOINTS_OUT and min(recent) > self.policy.target

    @property
    def wants_in(self) -> bool:
        """Whether its low alarm is in alarm."""
        threshold = SCALE_IN_THRESHOLD * self.policy.target
        return len(self.values) == DATAPOINTS_IN and max(self.values) < threshold

    def proportional(self, tasks: int) -> int:
        """The tasks that would bring its newest value to the target, were it seen on `tasks`."""
        return max(1, math.ceil(tasks * self.values[-1] / self.policy.target - _ROUNDING))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided in a minute.

    `wanted` is the number before the maximum cut it; `key` the setting of the policy that decided, empty
    where none did.
    """

    desired: int
    wanted: int
    key: str = ""


class TargetTracking:
    """The state of one scalable target. Times are seconds on the simulation's clock."""

    def __init__(
        self, policies: Sequence[Policy], cooldowns: Cooldowns, *, minimum: int, maximum: int
    ) -> None:
        self._histories = [PolicyHistory(policy) for policy in policies]
        self._unseen: deque[Sequence[float]] = deque()
        self._cooldowns = cooldowns
        self._minimum = minimum
        self._maximum = maximum
        self.desired = minimum
        self._before_scale_out = minimum
        self._scaling_out = False
        self._scale_out_until = 0.0
        self._scaling_in = False
        self._scale_in_until = 0.0

    @property
    def minimum(self) -> int:
        """The minimum in force."""
        return self._minimum

    def start_with(self, values_of_one_task: Sequence[float]) -> None:
        """Begin with the tasks that suit a long steady load; the values are those one task would have."""
        fitting = max(
            math.ceil(value / history.policy.target - _ROUNDING)
            for history, value in zip(self._histories, values_of_one_task, strict=True)
        )
        self.desired = self._before_scale_out = max(self._minimum, min(fitting, self._maximum))

    def set_minimum(self, tasks: int) -> None:
        """A scheduled action: takes effect at once, up to the maximum."""
        self._minimum = min(tasks, self._maximum)
        if self.desired < self._minimum:
            self._begin_scale_out(self._minimum)

    def publish(self, values: Sequence[float]) -> None:
        """Take the metrics of the minute that has just ended, in the order of the policies."""
        self._unseen.append(values)
        while len(self._unseen) > METRIC_DELAY_S // PERIOD_S:
            for history, value in zip(self._histories, self._unseen.popleft(), strict=True):
                history.values.append(value)

    def activity_over(self, now_s: float) -> None:
        """Tell that the service has as many tasks as were desired: cool-downs begin."""
        if self._scaling_out:
            self._scaling_out = False
            self._scale_out_until = now_s + self._cooldowns.scale_out_s
        if self._scaling_in:
            self._scaling_in = False
            self._scale_in_until = now_s + self._cooldowns.scale_in_s

    def decide(self, now_s: float) -> Decision:
        """Judge the alarms, as happens once a minute."""
        outward = [history for history in self._histories if history.wants_out]
        if outward:
            return self._scale_out(outward, now_s)
        if all(history.wants_in for history in self._histories):
            return self._scale_in(now_s)
        return Decision(desired=self.desired, wanted=self.desired)

    def _scale_out(self, outward: Sequence[PolicyHistory], now_s: float) -> Decision:
        cooling = self._scaling_out or now_s < self._scale_out_until
        base = self._before_scale_out if cooling else self.desired
        winner = max(outward, key=lambda history: history.proportional(base))
        wanted = max(self.desired, winner.proportional(base))
        granted = min(wanted, self._maximum)
        if granted > self.desired:
            self._begin_scale_out(granted, base=base)
        return Decision(desired=self.desired, wanted=wanted, key=winner.policy.key)

    def _begin_scale_out(self, tasks: int, *, base: int | None = None) -> None:
        self._before_scale_out = self.desired if base is None else base
        self.desired = tasks
        self._scaling_out, self._scaling_in, self._scale_in_until = True, False, 0.0

    def _scale_in(self, now_s: float) -> Decision:
        winner = max(self._histories, key=lambda history: history.proportional(self.desired))
        gradual = self.desired - max(1, int(SCALE_IN_SHARE * self.desired))
        granted = max(self._minimum, gradual, winner.proportional(self.desired))
        busy = self._scaling_in or self._scaling_out or now_s < self._scale_in_until
        if granted < self.desired and not busy:
            self.desired = granted
            self._scaling_in = True
            return Decision(desired=granted, wanted=granted, key=winner.policy.key)
        return Decision(desired=self.desired, wanted=self.desired)
