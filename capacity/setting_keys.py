"""The settings that findings name."""

from __future__ import annotations

CPU_KEY = "scaling.cpu_target_percent"
REQUESTS_KEY = "scaling.requests_per_task_per_minute"
IN_FLIGHT_KEY = "scaling.in_flight_requests_per_task"
MINIMUM_KEY = "scaling.tasks_minimum"
MAXIMUM_KEY = "scaling.tasks_maximum"
LATENCY_KEY = "scaling.latency_target_ms"
SCALE_OUT_KEY = "scaling.scale_out_cooldown_s"
SCALE_IN_KEY = "scaling.scale_in_cooldown_s"
TASK_CPU_KEY = "scaling.task_cpu_units"
