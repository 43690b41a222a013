"""Credentials of the task role, served as ECS serves them to a container.

The SDKs ask `AWS_CONTAINER_CREDENTIALS_FULL_URI` and come back before what they hold expires.
Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.aws import CLIENT_CONFIG, Account
from local.ports import LOOPBACK

_PATH = "/v2/credentials"
_SESSION_S = 3600
_RENEW_BEFORE = timedelta(minutes=15)


@dataclass(frozen=True)
class RoleCredentials:
    """One STS session of a role."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: datetime


def assume_role(account: Account, role_arn: str) -> RoleCredentials:
    """A fresh session of the task role, one hour long."""
    sts = account.session().client("sts", endpoint_url=account.endpoint_url, config=CLIENT_CONFIG)
    session = sts.assume_role(RoleArn=role_arn, RoleSessionName="task", DurationSeconds=_SESSION_S)
    given = session["Credentials"]
    return RoleCredentials(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"]
    )


class CredentialsEndpoint:
    """A loopback server that hands out the role's credentials to whoever knows the token."""

    def __init__(self, role_arn: str, assume: Callable[[], RoleCredentials]) -> None:
        self._role_arn = role_arn
        self._assume = assume
        self._held: RoleCredentials | None = None
        self._lock = threading.Lock()
        self._token = secrets.token_urlsafe(32)
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> CredentialsEndpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self) -> dict[str, str]:
        """The variables by which an SDK finds the endpoint."""
        port = self._server.server_address[1]
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{LOOPBACK}:{port}{_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
        }

    def document(self) -> dict[str, str]:
        """What the endpoint answers: credentials valid for at least fifteen more minutes."""
        with self._lock:
            if self._held is None or self._held.expiration - datetime.now(UTC) < _RENEW_BEFORE:
                self._held = self._assume()
            held = self._held
        return {
            "RoleArn": self._role_arn,
            "AccessKeyId": held.access_key_id,
            "SecretAccessKey": held.secret_access_key,
            "Token": held.session_token,
            "Expiration": held.expiration.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "")
                if self.path != _PATH or not hmac.compare_digest(given, endpoint._token):
                    self.send_error(403, "Wrong path or authorization token")
                    return
                body = json.dumps(endpoint.document()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Credentials are asked for every few minutes; nobody reads that."""

        return Handler
