"""Every weakness of a section is found, named by its setting and minute, and its remedy helps."""

import datetime
from collections.abc import Sequence
from typing import Any

from capacity.findings import Finding, Severity
from capacity.judgement import judge
from capacity.simulation import Run
from capacity.traffic import Duration
from tests.capacity.sections import MONDAY, run, task


def warnings(of: Run) -> Sequence[Finding]:
    return [finding for finding in judge(of) if finding.severity is Severity.WARNING]


def the(findings: Sequence[Finding], key: str) -> Finding:
    found = [finding for finding in findings if finding.key == key]
    assert len(found) == 1, f"{key}: {[(one.key, one.why) for one in findings]}"
    return found[0]


def minute(number: int) -> datetime.datetime:
    return MONDAY + datetime.timedelta(minutes=number)


def test_a_section_that_suits_its_traffic_is_left_alone() -> None:
    assert judge(run([900] * 120, requests_per_task_per_minute=30_000)) == []


def test_a_burst_steeper_than_scaling_names_the_policy_the_minute_and_the_floor_that_helps() -> None:
    rates = [800] * 20 + [4000] * 30
    burst = the(warnings(run(rates)), "scaling.cpu_target_percent")
    assert burst.at == minute(20)
    assert burst.value == 50
    assert "on 2 tasks" in burst.why
    assert "about 300 s" in burst.why
    assert "a floor of 5 tasks" in burst.fix
    assert warnings(run(rates, tasks_minimum=5)) == []


def test_the_lower_target_that_is_proposed_for_a_burst_helps() -> None:
    rates = [1500] * 20 + [3500] * 30
    burst = the(warnings(run(rates)), "scaling.cpu_target_percent")
    proposed = int(burst.fix.rsplit("lower it to ", 1)[1])
    assert proposed < 50
    assert warnings(run(rates, cpu_target_percent=proposed)) == []


def test_a_burst_on_tasks_that_were_counted_by_requests_blames_that_setting() -> None:
    rates = [800] * 20 + [4000] * 30
    burst = the(
        warnings(run(rates, requests_per_task_per_minute=24_000)), "scaling.requests_per_task_per_minute"
    )
    assert burst.at == minute(20)


def test_a_ceiling_that_is_too_low_is_named_and_the_proposed_one_helps() -> None:
    rates = [2800.0] * 60
    ceiling = the(warnings(run(rates, tasks_maximum=2)), "scaling.tasks_maximum")
    assert ceiling.at == minute(0)
    assert "every task running" in ceiling.why
    assert warnings(run(rates, tasks_maximum=int(ceiling.fix.split()[-1]))) == []


def test_above_the_most_tasks_there_can_be_a_larger_task_or_less_load_helps() -> None:
    half = the(warnings(run([19_000] * 30, of=task(vcpu=0.5))), "scaling.tasks_maximum")
    assert half.fix == "set scaling.task_cpu_units to 1024"
    whole = the(warnings(run([30_000] * 30)), "scaling.tasks_maximum")
    assert "shed load" in whole.fix


def test_a_ceiling_that_is_reached_without_harm_is_a_note() -> None:
    note = the(judge(run([1800] * 60, tasks_maximum=3)), "scaling.tasks_maximum")
    assert note.severity is Severity.NOTE
    assert "up to 4" in note.why


def test_providers_that_are_too_slow_are_no_matter_of_tasks() -> None:
    late = warnings(run([100] * 30, answer=Duration(5000, 9000)))
    assert [finding.key for finding in late] == ["scaling.latency_target_ms"]
    assert "9.0 s" in late[0].why


def test_a_floor_that_is_too_low_for_the_hour_after_it_is_named() -> None:
    floor = {"name": "morning", "schedule": "cron(10 0 ? * MON *)", "time_zone": "UTC", "tasks_minimum": 3}
    rates = [100] * 15 + [5000] * 60
    low = the(warnings(run(rates, scheduled_floors=[floor])), "scaling.scheduled_floors.0.tasks_minimum")
    assert low.value == 3
    assert low.at == minute(15)
    proposed = int(low.fix.split()[-1])
    assert warnings(run(rates, scheduled_floors=[{**floor, "tasks_minimum": proposed}])) == []


def test_a_cpu_target_that_no_task_can_reach_is_named() -> None:
    unreachable = the(warnings(run([100] * 30, of=task(vcpu=2.0))), "scaling.cpu_target_percent")
    assert "never shows more than 50 %" in unreachable.why
    assert unreachable.at is None


def test_a_cpu_target_that_leaves_no_time_is_named_with_the_highest_that_does() -> None:
    slow: dict[str, Any] = {
        "of": task(cpu_s_per_request=0.2),
        "answer": Duration(1500, 6000),
        "cpu_target_percent": 80,
    }
    finding = the(warnings(run([1.0] * 30, **slow)), "scaling.cpu_target_percent")
    assert "leave 2.0 s" in finding.why
    assert finding.fix == "lower it to 70"


def test_a_scale_in_cooldown_shorter_than_the_metrics_age_is_named() -> None:
    hasty = the(warnings(run([100] * 30, scale_in_cooldown_s=100)), "scaling.scale_in_cooldown_s")
    assert "120 s old" in hasty.why


def test_a_scale_out_cooldown_that_lets_the_same_load_count_twice_is_noted() -> None:
    rates = [900] * 20 + [1900] * 40
    overshoot = the(judge(run(rates, scale_out_cooldown_s=0)), "scaling.scale_out_cooldown_s")
    assert overshoot.severity is Severity.NOTE
    assert not any(
        f.key == "scaling.scale_out_cooldown_s" for f in judge(run(rates, scale_out_cooldown_s=120))
    )


def test_tasks_that_come_and_go_are_noted() -> None:
    rates = ([1900] * 10 + [800] * 18) * 6
    flapping = the(judge(run(rates, scale_in_cooldown_s=120)), "scaling.scale_in_cooldown_s")
    assert "times tasks were stopped and others started" in flapping.why


def test_a_request_target_that_decides_long_before_cpu_is_noted() -> None:
    key = "scaling.requests_per_task_per_minute"
    note = the(judge(run([10] * 30, requests_per_task_per_minute=3000)), key)
    assert "at 5 % CPU, 10.0 times earlier than scaling.cpu_target_percent" in note.why
    assert "towards 30000" in note.fix


def test_a_request_target_that_decides_long_before_open_answers_is_measured_by_them() -> None:
    key = "scaling.requests_per_task_per_minute"
    findings = judge(run([10] * 30, requests_per_task_per_minute=3000, in_flight_requests_per_task=300))
    note = the(findings, key)
    assert "earlier than scaling.in_flight_requests_per_task" in note.why
    proposed = int(note.fix.split("towards ")[1].split(",")[0])
    assert 3000 < proposed < 30_000


def test_a_request_target_above_what_a_task_can_serve_is_noted() -> None:
    note = the(
        judge(run([10] * 30, requests_per_task_per_minute=90_000)), "scaling.requests_per_task_per_minute"
    )
    assert "more than 60000 a minute" in note.why
    assert note.fix.startswith("set it to 30000")


def test_repeated_occasions_are_told_once() -> None:
    rates = ([800] * 40 + [4000] * 6) * 3 + [800]
    burst = the(warnings(run(rates, scale_in_cooldown_s=120)), "scaling.cpu_target_percent")
    assert "more such occasion" in burst.why


def test_a_burst_on_tasks_that_were_counted_by_open_answers_blames_that_setting() -> None:
    rates = [800] * 20 + [6000] * 30
    burst = the(warnings(run(rates, in_flight_requests_per_task=600)), "scaling.in_flight_requests_per_task")
    assert burst.at == minute(20)
    assert "on 3 tasks" in burst.why
