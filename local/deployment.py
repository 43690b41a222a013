"""Deploys the stacks of the `local` environment with the CDK command line, unmodified.

Synthesis and bootstrap do not depend on each other; the deployment needs both. When the
synthesised assembly is what the running emulator already holds, nothing is deployed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local import cdk_output
from local.aws import CLIENT_CONFIG, Account, isolated
from local.image_tool import STORE_VARIABLE, write_launcher
from local.progress import StepError
from local.servers import emulator_identity
from local.state import PROJECT, StateDirectory, read_json, write_private

ENVIRONMENT = "local"
_COMMAND_LINE = PROJECT / "node_modules/.bin/cdk"
_CONCURRENT_STACKS = 4


def synthesise(state: StateDirectory) -> str:
    """Write the assembly and return its digest. Needs no emulator and no credentials.

    Raises:
        StepError: the app refuses the environment or fails.
    """
    command = ["synth", "--quiet", "--no-lookups", "--context", f"environment={ENVIRONMENT}"]
    # `make check` validates with every rule; here the same templates would be judged once more.
    environment = isolated(os.environ) | {"CDK_VALIDATION": "false"}
    _run(state, "synth", [*command, "--output", str(state.assembly)], environment)
    return digest(state.assembly)


def digest(assembly: Path) -> str:
    """Tells assemblies apart by templates and assets, whose names carry their own digests."""
    content = hashlib.sha256()
    for file in sorted([*assembly.glob("*.template.json"), *assembly.glob("*.assets.json")]):
        content.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return content.hexdigest()


def bootstrap(state: StateDirectory, account: Account, arguments: Sequence[str]) -> None:
    """Deploy the CDK's own bootstrap stack.

    Raises:
        StepError: it does not deploy.
    """
    _run(state, "bootstrap", ["bootstrap", *arguments], _environment(state, account))


def is_bootstrapped(account: Account, qualifier: str) -> bool:
    """Whether the emulator, whose state ends with its process, has been bootstrapped."""
    client = account.session().client("ssm", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG)
    found = client.get_parameters(Names=[f"/cdk-bootstrap/{qualifier}/version"])
    return bool(found["Parameters"])


def is_deployed(state: StateDirectory, assembly_digest: str) -> bool:
    """Whether the running emulator holds exactly this assembly."""
    return read_json(state.deployed_file) == _deployed(state, assembly_digest)


def deploy(state: StateDirectory, account: Account, assembly_digest: str) -> None:
    """Deploy every stack of the assembly in its order.

    Raises:
        StepError: a stack does not deploy; its details are CloudFormation's.
    """
    state.deployed_file.unlink(missing_ok=True)
    options = ["--require-approval=never", "--method=direct", f"--concurrency={_CONCURRENT_STACKS}"]
    command = ["deploy", "--all", "--app", str(state.assembly), *options, "--asset-parallelism"]
    _run(state, "deploy", [*command, "--progress=events"], _environment(state, account))
    write_private(state.deployed_file, _deployed(state, assembly_digest))


def _deployed(state: StateDirectory, assembly_digest: str) -> dict[str, str | None]:
    return {"assembly": assembly_digest, "emulator": emulator_identity(state)}


def _environment(state: StateDirectory, account: Account) -> dict[str, str]:
    return (
        isolated(os.environ)
        | account.environment()
        | {
            "CDK_DOCKER": str(write_launcher(state.root / "bin/docker")),
            STORE_VARIABLE: str(state.images),
        }
    )


def _run(state: StateDirectory, name: str, arguments: Sequence[str], environment: dict[str, str]) -> None:
    if not _COMMAND_LINE.exists():
        raise StepError(f"the CDK command line is missing: {_COMMAND_LINE}", "run `make setup`")
    paths = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    own = {
        "PATH": paths,
        "CDK_HOME": str(state.root / "cdk"),
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    command = [str(_COMMAND_LINE), *arguments, "--no-notices", "--no-color"]
    process = state.processes.start(name, command, environment | own, PROJECT)
    try:
        status = process.wait()
    except BaseException:
        state.processes.stop(name, grace_s=5)
        raise
    log = state.processes.log(name)
    if status != 0:
        raise cdk_output.failure(name, log.read_text(encoding="utf-8", errors="replace"), log)
