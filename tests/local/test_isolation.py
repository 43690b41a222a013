"""The shell's own AWS configuration and proxies are for everything but the embedded cloud."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local import servers
from local.aws import CLIENT_CONFIG, Account, isolated, new_account
from local.cloud import Connection
from local.first_request import send
from local.loopback import answers
from local.ports import Ports
from local.state import StateDirectory

NOBODY = "http://127.0.0.1:9"
HOSTILE = {
    "AWS_PROFILE": "nope",
    "AWS_DEFAULT_PROFILE": "nope",
    "AWS_CA_BUNDLE": "/nope.pem",
    "AWS_CONFIG_FILE": "/nope/config",
    "AWS_ENDPOINT_URL": NOBODY,
    "AWS_ENDPOINT_URL_SSM": NOBODY,
    "AWS_RETRY_MODE": "nope",
    "AWS_DEFAULTS_MODE": "nope",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_MAX_ATTEMPTS": "nope",
    "AWS_ACCESS_KEY_ID": "another",
    "AWS_REGION": "nope",
    **{
        name: NOBODY
        for lower in ("http_proxy", "https_proxy", "all_proxy")
        for name in (lower, lower.upper())
    },
}


class Service(BaseHTTPRequestHandler):
    """Answers every request alike, as Parameter Store and as the gateway would."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.dumps({"Parameter": {"Name": "/flag", "Value": "off"}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("name", ["ssm", "secretsmanager", "cloudformation", "sts", "ecs"])
def test_clients_of_the_account_know_nothing_of_the_shell(service: str, name: str) -> None:
    session: Any = Account("111122223333", "eu-central-1", service, "AKIA", "secret").session()
    client = session.client(name, endpoint_url=service, config=CLIENT_CONFIG)
    assert (client.meta.endpoint_url, client.meta.region_name) == (service, "eu-central-1")
    if name == "ssm":
        assert client.get_parameter(Name="/flag")["Parameter"]["Value"] == "off"


def test_loopback_is_asked_without_a_proxy(service: str) -> None:
    assert answers(f"{service}/_ready")
    assert send(Connection(service, "client", "admin"))["Parameter"]["Value"] == "off"


def test_started_processes_get_neither_aws_variables_nor_proxies() -> None:
    kept = {"PATH": "/bin", "NO_PROXY": "internal", "ENVIRONMENT": "local"}
    assert isolated({**HOSTILE, **kept}) == kept


def test_a_server_that_is_busy_for_a_moment_is_not_replaced(
    service: str, state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy:
        probes = 0

        def answers(self, _url: str) -> bool:
            self.probes += 1
            return self.probes > 3

    del service
    ports, busy = Ports.free(), Busy()
    account = new_account(state, "111122223333", "eu-central-1", ports.emulator)
    monkeypatch.setattr(servers, "answers", busy.answers)
    monkeypatch.setattr(type(state.processes), "running", lambda *_: object())
    monkeypatch.setattr(type(state.processes), "stop", lambda *_, **__: pytest.fail("it was stopped"))
    assert servers.ensure_emulator(state, ports, account.id, account.region) == account


def test_no_module_asks_loopback_past_the_one_that_leaves_proxies_out() -> None:
    sources = Path(servers.__file__).parent.rglob("*.py")
    assert [file.name for file in sources if "urlopen(" in file.read_text()] == []
