"""The embedded cloud from up to down: deployed, called, repaired, and gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import openai
import pytest
from botocore.exceptions import ClientError

from local import first_request, servers
from local.cloud import EmbeddedCloud
from local.outputs import deployed_stacks
from local.ports import PortError, Ports, is_free
from local.processes import has_ended
from local.state import PROJECT, StateDirectory, read_json
from local.status import report
from local.task_credentials import assume_role
from local.task_definition import read_task
from local.task_runner import RUNNER, TASK
from tests.local.embedded_cloud import RunningCloud, isolated_environment

STACKS = {
    "network",
    "secrets",
    "model-registry",
    "feature-flags",
    "guardrails",
    "cache",
    "gateway",
    "monitoring",
}


def restart_and_wait(cloud: RunningCloud, name: str) -> None:
    """Kill a process without warning and wait until the gateway is healthy again under another pid."""
    process = cloud.state.processes.running(name)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (task := read_json(cloud.state.task_file))["pid"] == process.pid or task["status"] != "HEALTHY":
        assert time.monotonic() < deadline, task
        time.sleep(0.05)


def test_every_stack_is_deployed(embedded_cloud: RunningCloud) -> None:
    stacks = deployed_stacks(embedded_cloud.account)
    assert set(stacks) == STACKS
    assert {stack.status for stack in stacks.values()} == {"CREATE_COMPLETE"}


def test_the_official_client_gets_an_answer(embedded_cloud: RunningCloud) -> None:
    connection = embedded_cloud.connection
    client = openai.OpenAI(base_url=f"{connection.url}/v1", api_key=connection.api_key, max_retries=0)
    with client:
        answer = client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "What goes into a risotto?"}]
        )
    assert "risotto" in (answer.choices[0].message.content or "")


def test_the_first_request_shows_a_decision_and_an_answer(embedded_cloud: RunningCloud) -> None:
    answer = first_request.send(embedded_cloud.connection)
    assert answer["decision"]["domain"] == "legal"
    assert answer["decision"]["chosen"] == answer["decision"]["candidates"][0]["key"]
    text = first_request.explanation(answer, embedded_cloud.connection, embedded_cloud.state.connection_file)
    assert answer["decision"]["chosen"] in text


def test_the_printed_curl_and_snippet_work(embedded_cloud: RunningCloud) -> None:
    answer = first_request.send(embedded_cloud.connection)
    file = embedded_cloud.state.connection_file
    text = first_request.explanation(answer, embedded_cloud.connection, file)
    curl = text[text.index("  curl ") : text.index("\n\nor with")]
    answered = subprocess.run(["sh", "-c", curl], capture_output=True, check=True, timeout=30)
    assert json.loads(answered.stdout)["object"] == "chat.completion"
    snippet = "\n".join(first_request.openai_snippet(str(file)))
    told = subprocess.run([sys.executable, "-c", snippet], capture_output=True, check=True, timeout=30)
    assert b"risotto" in told.stdout


def test_how_to_call_it_is_written_for_this_user_alone(embedded_cloud: RunningCloud) -> None:
    file = embedded_cloud.state.connection_file
    assert set(read_json(file)) == {"url", "api_key", "admin_key", "grpc_url"}
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_gateway_runs_from_the_image_that_was_deployed(embedded_cloud: RunningCloud) -> None:
    process = embedded_cloud.state.processes.running(TASK)
    assert process is not None
    image = read_json(embedded_cloud.state.task_file)["image_id"]
    assert Path(process.cwd()).is_relative_to(embedded_cloud.state.images / "images" / image / "files")


def test_the_gateway_holds_nobodys_credentials_but_its_roles(embedded_cloud: RunningCloud) -> None:
    process = embedded_cloud.state.processes.running(TASK)
    assert process is not None
    environment = process.environ()
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environment
    assert embedded_cloud.account.secret_access_key not in environment.values()


def as_task_role(cloud: RunningCloud, service: str) -> Any:  # noqa: ANN401
    """A client with the deployed task role's permissions."""
    outputs = deployed_stacks(cloud.account)["gateway"].outputs
    task = read_task(cloud.account, outputs["ClusterName"], outputs["ServiceName"])
    held = assume_role(cloud.account, task.role_arn)
    session: Any = boto3.Session(
        held.access_key_id, held.secret_access_key, held.session_token, cloud.account.region
    )
    return session.client(service, endpoint_url=cloud.account.endpoint_url)


def test_the_task_role_reads_what_it_must(embedded_cloud: RunningCloud) -> None:
    table = deployed_stacks(embedded_cloud.account)["model-registry"].outputs["RegistryTableName"]
    assert as_task_role(embedded_cloud, "dynamodb").scan(TableName=table)["Items"]


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "delete_table", {"TableName": "ai_model_registry"}),
        ("ssm", "get_parameter", {"Name": "/somebody/else"}),
        ("secretsmanager", "list_secrets", {}),
        ("iam", "list_roles", {}),
    ],
)
def test_the_task_role_may_do_nothing_else(
    embedded_cloud: RunningCloud, service: str, operation: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(ClientError, match="not authorized"):
        getattr(as_task_role(embedded_cloud, service), operation)(**arguments)


def test_status_tells_what_runs_what_is_deployed_and_what_does_nothing(embedded_cloud: RunningCloud) -> None:
    text = "\n".join(report(embedded_cloud.state, embedded_cloud.ports))
    for name in (servers.EMULATOR, servers.PROVIDERS, TASK, RUNNER, *STACKS):
        assert name in text
    assert text.count("healthy") == 4
    assert "AWS::ApplicationAutoScaling::ScalableTarget" in text


def test_a_killed_gateway_comes_back_and_answers(embedded_cloud: RunningCloud) -> None:
    restart_and_wait(embedded_cloud, TASK)
    assert first_request.send(embedded_cloud.connection)["completion"]


def test_up_again_changes_nothing_when_nothing_changed(embedded_cloud: RunningCloud) -> None:
    processes = embedded_cloud.state.processes
    before = {name: processes.running(name) for name in (servers.EMULATOR, servers.PROVIDERS, RUNNER, TASK)}
    deployed = processes.log("deploy").stat().st_mtime_ns
    assert embedded_cloud.cloud.up() == embedded_cloud.connection
    assert {name: processes.running(name) for name in before} == before
    assert processes.log("deploy").stat().st_mtime_ns == deployed


def test_up_repairs_what_was_killed(embedded_cloud: RunningCloud) -> None:
    processes = embedded_cloud.state.processes
    for name in (RUNNER, servers.PROVIDERS):
        process = processes.running(name)
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
    assert embedded_cloud.cloud.up() == embedded_cloud.connection
    assert first_request.send(embedded_cloud.connection)["completion"]


def test_a_second_up_at_the_same_time_is_refused(embedded_cloud: RunningCloud) -> None:
    environment = isolated_environment() | embedded_cloud.ports.environment()
    environment["LOCAL_STATE_DIRECTORY"] = str(embedded_cloud.state.root)
    with embedded_cloud.state.locked():
        refused = subprocess.run(
            [sys.executable, "-m", "local", "up"],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert refused.returncode == 1
    assert "Another `make up`" in refused.stderr


def test_a_port_in_use_is_reported_before_anything_is_started(state: StateDirectory) -> None:
    ports = Ports.free()
    with (
        socket.create_server(("127.0.0.1", ports.gateway)),
        pytest.raises(PortError, match=f"Port {ports.gateway}, wanted for the gateway"),
    ):
        EmbeddedCloud(state, ports, isolated_environment()).up()
    assert state.processes.names() == []


def test_down_leaves_no_process_and_no_port(state: StateDirectory) -> None:
    ports = Ports.free()
    servers.ensure_emulator(state, ports, "000000000000", "eu-central-1")
    servers.ensure_providers(state, ports)
    running = [state.processes.running(name) for name in (servers.EMULATOR, servers.PROVIDERS)]
    assert not is_free(ports.emulator)
    stopped = EmbeddedCloud(state, ports, isolated_environment()).down()
    assert set(stopped) == {servers.EMULATOR, servers.PROVIDERS}
    assert all(process is not None and has_ended(process) for process in running)
    assert is_free(ports.emulator)
    assert is_free(ports.providers)


def test_down_without_anything_running_is_harmless(state: StateDirectory) -> None:
    assert EmbeddedCloud(state, Ports.free(), isolated_environment()).down() == []


def test_an_interrupted_up_leaves_nothing_that_down_cannot_stop(state: StateDirectory) -> None:
    ports = Ports.free()
    environment = isolated_environment() | ports.environment() | {"LOCAL_STATE_DIRECTORY": str(state.root)}
    with (state.root.parent / "output").open("wb") as output:
        interrupted = subprocess.Popen(
            [sys.executable, "-m", "local", "up"], cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
        deadline = time.monotonic() + 30
        while state.processes.running("synth") is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        interrupted.kill()
        interrupted.wait()
    assert state.processes.running("synth") is not None
    EmbeddedCloud(state, ports, environment).down()
    assert [name for name in state.processes.names() if state.processes.running(name)] == []
    assert state.processes.unrecorded() == []
    assert all(is_free(port) for port in ports.by_name().values())
