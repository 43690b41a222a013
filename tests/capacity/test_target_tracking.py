"""Application Auto Scaling as AWS documents it."""

import pytest

from capacity.target_tracking import Cooldowns, Policy, TargetTracking

CPU, REQUESTS = Policy(key="cpu", target=50), Policy(key="requests", target=1000)
IDLE = 1.0


class Scaler:
    """A scaler whose minutes pass one at a time, each with the metrics seen in it."""

    def __init__(
        self, *, desired: int = 4, scale_out_s: int = 0, scale_in_s: int = 0, maximum: int = 50
    ) -> None:
        cooldowns = Cooldowns(scale_out_s=scale_out_s, scale_in_s=scale_in_s)
        self.scaler = TargetTracking((CPU, REQUESTS), cooldowns, minimum=1, maximum=maximum)
        self.scaler.set_minimum(desired)
        self.scaler.activity_over(-1000.0)
        self.scaler.set_minimum(1)
        self.minute = 0

    def minutes(
        self, count: int, cpu: float, requests: float = IDLE, *, in_progress: bool = False
    ) -> list[int]:
        """Desired tasks after each of these minutes; activities are over at once unless `in_progress`."""
        desired = []
        for _ in range(count):
            self.minute += 1
            if not in_progress:
                self.scaler.activity_over(60.0 * self.minute)
            self.scaler.publish((cpu, requests))
            desired.append(self.scaler.decide(60.0 * self.minute).desired)
        return desired


def test_it_takes_three_datapoints_and_the_metrics_delay_to_scale_out() -> None:
    assert Scaler().minutes(4, cpu=75) == [4, 4, 4, 6]


def test_two_high_minutes_are_no_alarm() -> None:
    scaler = Scaler()
    assert scaler.minutes(2, cpu=99) + scaler.minutes(4, cpu=40) == [4] * 6


def test_scaling_out_is_in_proportion_and_rounds_up() -> None:
    assert Scaler().minutes(4, cpu=51)[-1] == 5
    assert Scaler().minutes(4, cpu=100)[-1] == 8


def test_at_the_target_nothing_happens() -> None:
    assert Scaler().minutes(20, cpu=50) == [4] * 20


def test_the_policy_that_wants_most_wins() -> None:
    assert Scaler().minutes(4, cpu=75, requests=2500)[-1] == 10


def test_one_policy_is_enough_to_scale_out() -> None:
    assert Scaler().minutes(4, cpu=5, requests=2000)[-1] == 8


def test_scaling_in_takes_fifteen_datapoints_below_nine_tenths_of_the_target() -> None:
    assert Scaler().minutes(16, cpu=44) == [4] * 16  # would round up to the tasks there are
    assert Scaler().minutes(16, cpu=30) == [4] * 15 + [3]
    assert Scaler().minutes(40, cpu=46) == [4] * 40


def test_one_policy_that_does_not_agree_keeps_every_task() -> None:
    assert Scaler().minutes(40, cpu=5, requests=950) == [4] * 40


def test_scaling_in_goes_by_a_tenth_at_a_time() -> None:
    assert Scaler(desired=40).minutes(17, cpu=5)[-2:] == [36, 33]


def test_scaling_in_stops_at_what_the_busiest_policy_needs() -> None:
    assert min(Scaler(desired=4).minutes(16, cpu=5, requests=700)) == 3


def test_a_scale_in_waits_for_the_cooldown_of_the_last() -> None:
    desired = Scaler(desired=40, scale_in_s=300).minutes(25, cpu=5)
    assert desired[15] == 36
    assert desired[16:21] == [36] * 5
    assert 33 in desired[21:23]


def test_within_the_cooldown_only_a_larger_scale_out_happens() -> None:
    scaler = Scaler(scale_out_s=600)
    assert scaler.minutes(4, cpu=75)[-1] == 6
    assert scaler.minutes(3, cpu=75) == [6] * 3  # 1.5 times the four of before, not of the six
    assert scaler.minutes(3, cpu=125)[-1] == 10  # 2.5 times four: larger


def test_after_a_cooldown_shorter_than_the_metrics_age_the_same_load_counts_twice() -> None:
    assert Scaler(scale_out_s=0).minutes(5, cpu=75)[-2:] == [6, 9]


def test_until_the_tasks_run_the_activity_is_not_over() -> None:
    assert Scaler(scale_out_s=0).minutes(8, cpu=75, in_progress=True)[3:] == [6] * 5


def test_a_scale_out_ends_the_cooldown_of_a_scale_in() -> None:
    scaler = Scaler(desired=40, scale_in_s=3000)
    assert scaler.minutes(16, cpu=5)[-1] == 36
    assert scaler.minutes(4, cpu=60)[-1] == 44  # at once, although the cool-down has 46 minutes to go
    assert scaler.minutes(16, cpu=5)[-1] == 45  # from the maximum, and no cool-down is left to wait for


def test_the_maximum_cuts_and_what_was_wanted_is_told() -> None:
    scaler = Scaler(maximum=5)
    scaler.minutes(3, cpu=100)
    scaler.scaler.publish((100, IDLE))
    decision = scaler.scaler.decide(240.0)
    assert (decision.desired, decision.wanted, decision.key) == (5, 8, "cpu")


def test_a_scheduled_minimum_starts_tasks_at_once() -> None:
    scaler = Scaler(desired=2)
    scaler.scaler.set_minimum(6)
    assert scaler.scaler.desired == 6


def test_a_lowered_minimum_stops_nothing_by_itself() -> None:
    scaler = Scaler(desired=6)
    scaler.scaler.set_minimum(2)
    assert scaler.minutes(3, cpu=45) == [6] * 3


def test_no_scale_in_goes_below_the_minimum() -> None:
    scaler = Scaler(desired=6)
    scaler.scaler.set_minimum(5)
    assert min(scaler.minutes(60, cpu=1)) == 5


@pytest.mark.parametrize(("load", "fitting"), [((1.0, 1.0), 1), ((500.0, 1.0), 10), ((10.0, 90_000.0), 50)])
def test_it_starts_where_a_steady_load_would_have_brought_it(load: tuple[float, float], fitting: int) -> None:
    scaler = TargetTracking((CPU, REQUESTS), Cooldowns(scale_out_s=0, scale_in_s=0), minimum=1, maximum=50)
    scaler.start_with(load)
    assert scaler.desired == fitting
