"""What the flag functions count, as CloudWatch's embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping

NAMESPACE = "AiOrchestration/Flags"


def measure(environment: str, counts: Mapping[str, int], now_ms: int) -> None:
    """Log one line that CloudWatch Logs turns into the metrics named in `counts`."""
    metrics = [{"Name": name, "Unit": "Count"} for name in counts]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["Environment"]], "Metrics": metrics}
    line = {
        "_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]},
        "event": "flags measured",
        "Environment": environment,
        **counts,
    }
    print(json.dumps(line))
