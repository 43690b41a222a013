"""`make kill-switch-times`: how long three replicas take to obey, events switched off. Takes minutes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from local.aws import known_account
from local.cloud import EmbeddedCloud
from local.ports import Ports
from local.state import StateDirectory
from tests.end_to_end.flag_replicas import described, measure, running_replicas, without_events
from tests.local.embedded_cloud import RunningCloud, isolated_environment

ROUNDS = 50
PROMISED_S = 5.0
LIMIT_S = 200.0
SEED = 20261122


def main() -> int:
    """Measure in an embedded cloud of its own; 1 where one change took longer than promised."""
    with tempfile.TemporaryDirectory(prefix="kill-switch-times-") as folder:
        cloud = EmbeddedCloud(StateDirectory(Path(folder)), Ports.free(), isolated_environment())
        try:
            connection = cloud.up()
            account = known_account(cloud.state)
            if account is None:
                return 1
            running = RunningCloud(cloud, connection, account)
            with without_events(running), running_replicas(running) as replicas:
                times = measure(replicas, ROUNDS, seed=SEED, limit_s=LIMIT_S)
        finally:
            cloud.down()
    print("\n".join(described(times)))
    return int(max(max(of) for of in times.values()) > PROMISED_S)


if __name__ == "__main__":
    sys.exit(main())
