"""Whoever holds a deployed role, at work: what each does is what the role is for.

An exercise yields (check, what went wrong or None). Checks have stable names: `needs` says which permission
each of them proves.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from botocore.exceptions import ClientError

from local.container_overrides import RealProviders
from local.outputs import deployed_stacks
from local.ports import LOOPBACK, Ports
from local.provider_secrets import secret_value
from local.task_credentials import CredentialsEndpoint, assume_role
from local.task_definition import read_task
from local.task_runner import prepare
from tests.local.embedded_cloud import RunningCloud
from tests.privilege.administration import administration
from tests.privilege.clients import admin as admin
from tests.privilege.clients import as_role as as_role
from tests.privilege.clients import log_events
from tests.privilege.clients import outputs as outputs
from tests.privilege.evidence import evidence
from tests.privilege.flags import flag_update, kill_switch, undisturbed
from tests.privilege.rotation import rotation

Outcome: TypeAlias = tuple[str, str | None]
Exercise: TypeAlias = Callable[[RunningCloud, str], Iterator[Outcome]]
"""Takes the cloud and a text that is different in every run."""

SNAPSHOTS = {
    "registry": "reads the registry",
    "route_set": "reads the route set",
    "flags_parameter": "reads the flags",
    "flags_table": "reads the flags' second tier",
    "client_keys": "reads the client keys",
    "admin_keys": "reads the admin keys",
    "google_secret": "reads Google's key",
    "llama_secret": "reads the Llama endpoint's key",
}
MODELS = (
    "claude-haiku-4-5",
    "claude-sonnet-4-5",
    "llama-3.2-3b-instruct",
    "gemini-2.5-flash",
    "llama-3.3-70b-instruct",
)
_STARTED_S = 15.0
_CREDENTIALS_S = 3.0


# ---- the gateway: its real process, from the deployed image, with the task role's credentials ----


@dataclass(frozen=True)
class Gateway:
    """A running gateway process of an exercise."""

    port: int
    client_key: str
    admin_key: str

    def ask(self, method: str, path: str, body: object = None, *, admin: bool = False) -> tuple[int, Any]:
        """Status and body, decoded where it is JSON."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        key = self.admin_key if admin else self.client_key
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        if admin:
            headers["x-operator"] = "exercise"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if is_json else text


@contextmanager
def running_gateway(cloud: RunningCloud) -> Iterator[Gateway]:
    """Start what the task definition says, beside the one that `up` started, and stop it again."""
    service = outputs(cloud, "gateway")
    task = read_task(cloud.account, service["ClusterName"], service["ServiceName"])
    ports = replace(cloud.ports, gateway=Ports.free().gateway)
    keys = outputs(cloud, "secrets")
    with CredentialsEndpoint(task.role_arn, lambda: assume_role(cloud.account, task.role_arn)) as endpoint:
        container, _image = prepare(cloud.state, cloud.account, ports, task, endpoint, RealProviders())
        process = container.start(cloud.state.root / "exercised-gateway.log")
        try:
            yield Gateway(
                ports.gateway,
                secret_value(cloud.account, keys["ClientKeysSecretArn"])["current"],
                secret_value(cloud.account, keys["AdminKeysSecretArn"])["current"],
            )
        finally:
            process.kill()
            process.wait()


def gateway(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
    """Start, take up every store, answer with each model, administer."""
    with running_gateway(cloud) as process:
        loaded = _snapshots(process)
        _wait_for_credentials(process)
        for name, check in SNAPSHOTS.items():
            yield check, None if loaded.get(name) else f"the snapshot {name} was never loaded"
        for model in MODELS:
            yield f"answers with {model}", _answer(process, model)
        for model in MODELS:
            yield f"streams with {model}", _stream(process, model)
        yield from administration(process, run, _version(run))
    yield from evidence(cloud)


def _snapshots(process: Gateway) -> dict[str, bool]:
    """Snapshot → whether it was loaded, once every store was tried."""
    deadline = time.monotonic() + _STARTED_S
    while time.monotonic() < deadline:
        try:
            _status, text = process.ask("GET", "/metrics")
        except OSError:
            time.sleep(0.05)
            continue
        found = {name: _loaded(text, name) for name in SNAPSHOTS}
        if None not in found.values():
            return {name: bool(loaded) for name, loaded in found.items()}
        time.sleep(0.05)
    return {}


def _wait_for_credentials(process: Gateway) -> None:
    """Google's token comes a moment after its key. Without a permission it may never be ready."""
    deadline = time.monotonic() + _CREDENTIALS_S
    while process.ask("GET", "/health/ready")[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.05)


def _loaded(metrics: str, name: str) -> bool | None:
    """Whether a store answered; None while it has not been tried."""
    if f'gateway_snapshot_age_seconds{{snapshot="{name}"}}' in metrics:
        return True
    failures = f'gateway_snapshot_failures_total{{snapshot="{name}"}} '
    _, _, rest = metrics.partition(failures)
    return False if rest and float(rest.splitlines()[0]) > 0 else None


def _answer(process: Gateway, model: str) -> str | None:
    body = {"model": model, "messages": [{"role": "user", "content": "Good day"}]}
    status, answer = process.ask("POST", "/v1/chat/completions", body)
    return None if status == 200 else f"{status}: {json.dumps(answer)[:160]}"


def _stream(process: Gateway, model: str) -> str | None:
    body = {"model": model, "messages": [{"role": "user", "content": "Good day"}], "stream": True}
    status, text = process.ask("POST", "/v1/chat/completions", body)
    whole = status == 200 and text.endswith("data: [DONE]\n\n")
    return None if whole else f"{status}: {str(text)[-160:]}"


def _version(run: str) -> dict[str, object]:
    """A registry item that nobody is routed to."""
    return {
        "provider": "bedrock",
        "model": f"exercise-{run}",
        "version": "2026-11-01",
        "family": "claude",
        "invocation_id": "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        "lifecycle": "draft",
        "capabilities": {"tools": "native", "vision": False, "json_schema": False},
        "context_window_tokens": 1000,
        "maximum_output_tokens": 100,
        "expected_latency_ms": 1000,
        "price": {
            "currency": "EUR",
            "as_of": "2026-11-01",
            "input_micro_per_million_tokens": 1,
            "output_micro_per_million_tokens": 1,
            "cached_input_micro_per_million_tokens": 1,
        },
        "residency": {"eu_processing": True, "eu_licence": True},
    }


# ---- the registry guard: the deployed function, invoked with CloudFormation's events ----


@contextmanager
def response_url() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An address that takes a custom resource's answers, and the answers it has taken."""
    taken: list[dict[str, str]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer((LOOPBACK, 0), Taker) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}/", taken
        server.shutdown()


def registry_guard(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
    """Create with a new version, update with a changed one, delete; and read what was logged."""
    functions = admin(cloud, "lambda")
    (name,) = [
        one["FunctionName"] for one in functions.list_functions()["Functions"] if "Guard" in one["Role"]
    ]
    group = functions.get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
    logged = log_events(cloud, group)
    item = {"provider#model": f"bedrock#exercise-{run}", **_version(run)}
    changed = {**item, "expected_latency_ms": 999}
    registry = outputs(cloud, "model-registry")
    route_set = registry["RouteSetParameterName"]
    in_force = admin(cloud, "ssm").get_parameter(Name=route_set)["Parameter"]["Value"]
    with response_url() as (url, answers):

        def status(kind: str, items: list[object]) -> tuple[str, str]:
            answers.clear()
            properties = {
                "TableName": "ai_model_registry",
                "AuditTable": registry["AuditTableName"],
                "Items": json.dumps(items),
                "RouteSet": in_force,
                "RouteSetParameter": route_set,
                "EuOnly": "true",
            }
            event = {"RequestType": kind, "ResponseURL": url, "ResourceProperties": properties}
            functions.invoke(FunctionName=name, Payload=json.dumps(event))
            return (answers[0]["Status"], answers[0]["Reason"]) if answers else ("NONE", "no answer came")

        created, reason = status("Create", [item])
        yield "adds a declared version", None if created == "SUCCESS" else reason[:200]
        updated, reason = status("Update", [changed])
        refused = updated == "FAILED" and "immutable" in reason
        yield "refuses a changed version", None if refused else f"{updated}: {reason[:200]}"
        deleted, reason = status("Delete", [])
        yield "leaves the table alone on delete", None if deleted == "SUCCESS" else reason[:200]
    yield "writes its log", None if log_events(cloud, group) > logged else f"{group} has no new event"


def operator_parameters(stack: str, holder: str) -> Exercise:
    """Tag, delete and create the parameters that a stack declares; they end as they are declared."""

    def at_work(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
        functions, store = admin(cloud, "lambda"), admin(cloud, "ssm")
        (name,) = [
            one["FunctionName"] for one in functions.list_functions()["Functions"] if holder in one["Role"]
        ]
        group = functions.get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
        logged = log_events(cloud, group)
        properties = _declared_parameters(cloud, stack)
        declared = json.loads(properties["Parameters"])
        with response_url() as (url, answers):

            def problem(kind: str, **changes: str) -> str | None:
                answers.clear()
                event = {
                    "RequestType": kind,
                    "ResponseURL": url,
                    "StackId": f"exercise-{run}",
                    "OldResourceProperties": properties,
                    "ResourceProperties": {**properties, **changes},
                }
                functions.invoke(FunctionName=name, Payload=json.dumps(event))
                if not answers:
                    return "no answer came"
                return None if answers[0]["Status"] == "SUCCESS" else answers[0]["Reason"][:200]

            try:
                yield "tags its parameters", problem("Update", Tags=json.dumps({"exercise": run}))
                yield "deletes its parameters", problem("Delete", Kept="false")
                for one in declared:
                    _denied(store.delete_parameter, Name=one["Name"])
                yield "creates its parameters", problem("Create")
            finally:
                for one in declared:
                    told = {name: text for name, text in one.items() if name != "AuditSubject"}
                    store.put_parameter(**told, Type="String", Overwrite=True)
        yield "writes its log", None if log_events(cloud, group) > logged else f"{group} has no new event"

    return at_work


def _declared_parameters(cloud: RunningCloud, stack: str) -> dict[str, str]:
    template = json.loads((cloud.state.assembly / f"{stack}.template.json").read_text())
    (found,) = (
        resource["Properties"]
        for resource in template["Resources"].values()
        if "Parameters" in resource.get("Properties", {}) and "Kept" in resource["Properties"]
    )
    table = (
        {"AuditTable": outputs(cloud, "model-registry")["AuditTableName"]} if "AuditTable" in found else {}
    )
    return {**{key: found[key] for key in ("Parameters", "Tags", "Kept")}, **table}


# ---- services that act with a role: the calls they document, made with the role's credentials ----


def ecs(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
    """What ECS does to start a task.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/security-iam-awsmanpol.html, the policy for pulling
    """
    role = _role(cloud, "ContainerExecutionRole")
    images = as_role(cloud.account, role, "ecr")
    (repository,) = [
        one["repositoryName"]
        for one in admin(cloud, "ecr").describe_repositories()["repositories"]
        if "container-assets" in one["repositoryName"]
    ]
    digest = admin(cloud, "ecr").list_images(repositoryName=repository)["imageIds"][0]["imageDigest"]
    yield "gets a token of the image registry", _denied(images.get_authorization_token)
    yield (
        "reads the image's manifest",
        _denied(images.batch_get_image, repositoryName=repository, imageIds=[{"imageDigest": digest}]),
    )
    yield (
        "fetches the image's layers",
        _denied(images.get_download_url_for_layer, repositoryName=repository, layerDigest=digest),
    )
    yield from _log(cloud, role, _group(cloud, "gateway", "/Logs"), run)


def flow_logs(cloud: RunningCloud, run: str) -> Iterator[Outcome]:
    """What VPC flow logs do to deliver.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    role = _role(cloud, "VpcFlowLogIAMRole")
    group = _group(cloud, "network", "/FlowLogGroup")
    yield from _log(cloud, role, group, run)
    listing = as_role(cloud.account, role, "logs").describe_log_streams
    yield "finds its log stream", _denied(listing, logGroupName=group)


def _log(cloud: RunningCloud, role: str, group: str, run: str) -> Iterator[Outcome]:
    logs = as_role(cloud.account, role, "logs")
    stream = f"exercise-{run}"
    yield "opens a log stream", _denied(logs.create_log_stream, logGroupName=group, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": "exercise"}
    put = {"logGroupName": group, "logStreamName": stream, "logEvents": [event]}
    yield "writes to its log", _denied(logs.put_log_events, **put)


def _role(cloud: RunningCloud, logical_id: str) -> str:
    resources = admin(cloud, "cloudformation")
    for stack in deployed_stacks(cloud.account):
        name = f"ai-orchestration-local-{stack}"
        for one in resources.describe_stack_resources(StackName=name)["StackResources"]:
            if one["ResourceType"] == "AWS::IAM::Role" and one["LogicalResourceId"].startswith(logical_id):
                return str(admin(cloud, "iam").get_role(RoleName=one["PhysicalResourceId"])["Role"]["Arn"])
    raise AssertionError(f"no role {logical_id} is deployed")


def _group(cloud: RunningCloud, stack: str, ending: str) -> str:
    groups = admin(cloud, "logs").describe_log_groups()["logGroups"]
    (found,) = [one["logGroupName"] for one in groups if f"-{stack}{ending}" in one["logGroupName"]]
    return str(found)


def _denied(call: Callable[..., object], **arguments: object) -> str | None:
    """What IAM says against a call; whatever else goes wrong is not about permissions."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error) if "AccessDenied" in str(error) else None
    return None


EXERCISES: Mapping[str, Exercise] = {
    "TaskRole": gateway,
    "GuardRole": registry_guard,
    "FlagsRole": undisturbed(operator_parameters("FeatureFlags", "FlagsRole")),
    "UpdateRole": flag_update,
    "KillSwitchRole": kill_switch,
    "RouteSetRole": operator_parameters("ModelRegistry", "RouteSetRole"),
    "RotationRole": rotation,
    "ContainerExecutionRole": ecs,
    "VpcFlowLogIAMRole": flow_logs,
}
"""Logical id of a role, without the CDK's suffix → what its holder does."""
