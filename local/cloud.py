"""The embedded cloud as a whole: up and down.

    EmbeddedCloud(StateDirectory(folder), Ports.free()).up()

`up` repairs whatever an earlier, interrupted `up` left; what already is as it should be stays.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from local import deployment, servers
from local.aws import Account, isolated
from local.container_overrides import RealProviders
from local.function_overrides import put_function_overrides
from local.image_store import ImageStore
from local.outputs import DeployedStack, deployed_stacks, required_output
from local.ports import LOOPBACK, Ports, is_free, require_free
from local.progress import Progress, StepError
from local.provider_secrets import put_provider_secrets, secret_value
from local.state import PROJECT, StateDirectory, read_json, write_private
from local.task_runner import RUNNER, TASK
from stacks.settings import Environment, load

_CDK_COMMANDS = ("synth", "bootstrap", "deploy")
_RUNNER_GRACE_S = 130.0
_SERVER_GRACE_S = 10.0
_HEALTHY_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Connection:
    """How to call the gateway."""

    url: str
    api_key: str
    admin_key: str
    grpc_url: str | None = None


@dataclass
class EmbeddedCloud:
    """One embedded cloud: a state directory, ports, and the caller's environment."""

    state: StateDirectory
    ports: Ports
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    progress: Progress = field(default_factory=Progress)

    def up(self) -> Connection:
        """Deploy, start, and wait until the gateway is healthy.

        Raises:
            StepError, PortError, BusyError: what went wrong and what to do.
        """
        with self.state.locked():
            self._end_leftovers()
            try:
                return self._up()
            except BaseException:
                self._end_leftovers()
                raise

    def down(self) -> list[str]:
        """Stop everything; returns what was stopped.

        Raises:
            StepError: a port is still held afterwards.
        """
        with self.state.locked():
            processes = self.state.processes
            stopped = [name for name in (RUNNER, TASK) if processes.stop(name, _RUNNER_GRACE_S)]
            others = [name for name in processes.names() if name not in (RUNNER, TASK)]
            stopped += [name for name in others if processes.stop(name, _SERVER_GRACE_S)]
            processes.stop_unrecorded(_SERVER_GRACE_S)
            for file in (self.state.connection_file, self.state.task_file, self.state.deployed_file):
                file.unlink(missing_ok=True)
            held = [name for name, port in self.ports.by_name().items() if stopped and not is_free(port)]
            if held:
                raise StepError(
                    f"ports of {', '.join(held)} are still held", "`make status` shows by which process"
                )
            return stopped

    def _up(self) -> Connection:
        self._require_ports()
        write_private(self.state.ports_file, self.ports.by_name())
        settings = load(PROJECT / f"environments/{deployment.ENVIRONMENT}.toml")
        account, digest = self._prepare(settings)
        self._deploy(account, digest)
        stacks = deployed_stacks(account)
        real = RealProviders.found_in(self.environment)
        with self.progress.step("Provider credentials") as step:
            put_function_overrides(account, self.ports)
            put_provider_secrets(account, stacks, self.ports, real)
            step.note(real.described())
        self._run_task(stacks, digest, real)
        connection = self._connection(account, stacks)
        write_private(self.state.connection_file, asdict(connection))
        return connection

    def _require_ports(self) -> None:
        """Complain of a port in use before any work is done."""
        running = self.state.processes.running
        owners = {
            "emulator": running(servers.EMULATOR),
            "providers": running(servers.PROVIDERS),
            "gateway": running(TASK),
        }
        for server, port in self.ports.by_name().items():
            if owners[server] is None:
                require_free(server, port)

    def _prepare(self, settings: Environment) -> tuple[Account, str]:
        """Servers, synthesis and bootstrap, side by side."""
        with ThreadPoolExecutor(max_workers=3) as side_by_side:
            synthesis = side_by_side.submit(self._synthesise)
            providers = side_by_side.submit(self._start_providers)
            emulator = side_by_side.submit(self._start_emulator, settings)
            try:
                providers.result()
                return emulator.result(), synthesis.result()
            except BaseException:
                self._end_leftovers()
                raise

    def _synthesise(self) -> str:
        with self.progress.step("Synthesise the stacks"):
            return deployment.synthesise(self.state)

    def _start_providers(self) -> None:
        with self.progress.step("Simulated providers") as step:
            step.note(f"{LOOPBACK}:{self.ports.providers}")
            servers.ensure_providers(self.state, self.ports)

    def _start_emulator(self, settings: Environment) -> Account:
        place = settings.deployment
        before = servers.emulator_identity(self.state)
        with self.progress.step("AWS emulator") as step:
            step.note(f"{LOOPBACK}:{self.ports.emulator}, account {place.account}, {place.region}")
            account = servers.ensure_emulator(self.state, self.ports, place.account, place.region)
        if servers.emulator_identity(self.state) != before:
            ImageStore(self.state.images).clear()  # its registry is empty
        if not deployment.is_bootstrapped(account, place.bootstrap_qualifier):
            with self.progress.step("Bootstrap the account for the CDK"):
                deployment.bootstrap(self.state, account, settings.bootstrap_arguments)
        return account

    def _deploy(self, account: Account, digest: str) -> None:
        if deployment.is_deployed(self.state, digest):
            self.progress.say("  ✓ Stacks are deployed already, unchanged")
            return
        with self.progress.step("Deploy the stacks"):
            deployment.deploy(self.state, account, digest)

    def _run_task(self, stacks: dict[str, DeployedStack], digest: str, real: RealProviders) -> None:
        cluster = required_output(stacks, "gateway", "ClusterName")
        service = required_output(stacks, "gateway", "ServiceName")
        with self.progress.step("Gateway task") as step:
            step.note(f"{LOOPBACK}:{self.ports.gateway}")
            wanted = self._version(digest, real)
            if self._task_runs(wanted):
                return
            self.state.processes.stop(RUNNER, _RUNNER_GRACE_S)
            self.state.processes.stop(TASK, _RUNNER_GRACE_S)
            require_free("gateway", self.ports.gateway)
            self.state.task_file.unlink(missing_ok=True)
            self.state.processes.log(TASK).unlink(missing_ok=True)
            self.state.processes.start(
                RUNNER,
                [
                    *(sys.executable, "-m", "local.task_runner"),
                    f"--state-directory={self.state.root}",
                    f"--cluster={cluster}",
                    f"--service={service}",
                ],
                self._runner_environment(real),
                PROJECT,
                wanted,
            )
            self._wait_until_healthy()

    def _runner_environment(self, real: RealProviders) -> dict[str, str]:
        """Ports and the real providers' credentials; AWS it reaches by the state directory alone."""
        environment = isolated(self.environment)
        if real.bedrock_token:
            environment["AWS_BEARER_TOKEN_BEDROCK"] = real.bedrock_token
        return environment | self.ports.environment()

    def _version(self, digest: str, real: RealProviders) -> str:
        """Tells a running task from the one wanted, without writing secrets down."""
        parts = (digest, servers.emulator_identity(self.state), self.ports, real)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _task_runs(self, wanted: str) -> bool:
        return (
            self.state.processes.running(RUNNER, wanted) is not None
            and read_json(self.state.task_file).get("status") == "HEALTHY"
        )

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _HEALTHY_S
        while (task := read_json(self.state.task_file)).get("status") != "HEALTHY":
            ended = self.state.processes.running(RUNNER) is None
            if ended or task.get("restarts") or time.monotonic() > deadline:
                # A task that never becomes healthy fails the deployment, as the circuit breaker does.
                failing = TASK if task else RUNNER
                self.state.processes.stop(RUNNER, _SERVER_GRACE_S)
                raise StepError(
                    f"the gateway does not become healthy: {task.get('reason') or 'the task runner ended'}",
                    f"read {self.state.processes.log(failing)}, correct the cause, `make up`",
                    self.state.processes.log_tail(failing),
                )
            time.sleep(_POLL_S)

    def _connection(self, account: Account, stacks: dict[str, DeployedStack]) -> Connection:
        client_keys = secret_value(account, required_output(stacks, "secrets", "ClientKeysSecretArn"))
        admin_keys = secret_value(account, required_output(stacks, "secrets", "AdminKeysSecretArn"))
        url = f"http://{LOOPBACK}:{self.ports.gateway}"
        return Connection(url, client_keys["current"], admin_keys["current"])

    def _end_leftovers(self) -> None:
        """End CDK commands, and what else an interrupted `up` may have left running."""
        for name in _CDK_COMMANDS:
            self.state.processes.stop(name, _SERVER_GRACE_S)
        self.state.processes.stop_unrecorded(_SERVER_GRACE_S)
