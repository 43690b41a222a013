"""What releases and scaling rely on, against the deployed gateway: the hook's questions, the metric line."""

from __future__ import annotations

import json
import time

from lambdas.smoke_test import handler as smoke_test
from lambdas.smoke_test.handler import Settings
from local.outputs import deployed_stacks
from local.task_runner import TASK
from tests.local.embedded_cloud import RunningCloud

LINE_EVERY_S = 15


def test_the_smoke_test_lets_the_deployed_gateway_have_callers(embedded_cloud: RunningCloud) -> None:
    secret = deployed_stacks(embedded_cloud.account)["secrets"].outputs["ClientKeysSecretArn"]

    def read_key(arn: str) -> str:
        client = embedded_cloud.account.session().client(
            "secretsmanager", endpoint_url=embedded_cloud.account.endpoint_url
        )
        return str(json.loads(client.get_secret_value(SecretId=arn)["SecretString"])["current"])

    settings = Settings(url=embedded_cloud.connection.url, client_keys_secret=secret, patience_s=0)
    assert smoke_test.passes(settings, read_key=read_key)


def test_the_smoke_test_keeps_callers_from_a_gateway_that_refuses_the_key(
    embedded_cloud: RunningCloud,
) -> None:
    settings = Settings(url=embedded_cloud.connection.url, client_keys_secret="", patience_s=0)
    assert not smoke_test.passes(settings, read_key=lambda _: "another-key")


def test_the_tasks_log_tells_how_many_requests_are_in_flight(embedded_cloud: RunningCloud) -> None:
    log = embedded_cloud.state.processes.log(TASK)
    deadline = time.monotonic() + 2 * LINE_EVERY_S
    while not (found := [line for line in log.read_text().splitlines() if '"_aws"' in line]):
        assert time.monotonic() < deadline, f"{log} has no metric line"
        time.sleep(0.5)
    line = json.loads(found[-1])
    assert line["Environment"] == "local"
    assert len(line["InFlightRequests"]) == LINE_EVERY_S
