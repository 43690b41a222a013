"""One JSON line a run: what happened, and CloudWatch's embedded metrics of it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from typing import Final

from lambdas.secret_rotation.settings import RotatedSecret

NAMESPACE: Final = "AiOrchestration/Rotation"


def write_line(event: str, **fields: object) -> None:
    """Print one line."""
    print(json.dumps({"event": event, **fields}))


def write_measured(
    event: str,
    secret: RotatedSecret,
    *,
    at_s: float,
    failed: bool,
    age_days: float | None = None,
    **fields: object,
) -> None:
    """Print one line that CloudWatch Logs makes metrics of."""
    values: dict[str, float] = {"Failures": int(failed)}
    metrics = [{"Name": "Failures", "Unit": "Count"}]
    if age_days is not None:
        values["AgeDays"] = round(age_days, 4)
        metrics.append({"Name": "AgeDays", "Unit": "None"})
    declaration = {
        "Timestamp": int(at_s * 1000),
        "CloudWatchMetrics": [
            {"Namespace": NAMESPACE, "Dimensions": [["Environment", "Secret"]], "Metrics": metrics}
        ],
    }
    dimensions = {"Environment": secret.scope.environment, "Secret": secret.name}
    write_line(event, _aws=declaration, **dimensions, **values, **fields)
