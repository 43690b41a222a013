"""Google's IAM API and token endpoint, and the key administration of an OpenAI-compatible endpoint."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Answer = tuple[int, dict[str, object]]
Ask = Callable[[str, str, Mapping[str, str], bytes], Answer]

EMAIL = "gateway@simulated.iam.gserviceaccount.com"
MOST_KEYS = 10
"""https://cloud.google.com/iam/quotas: keys of a service account."""


@functools.cache
def _key_pair(number: int) -> tuple[str, rsa.RSAPublicKey]:
    """Small, few and drawn once: what is tested is who has which key."""
    del number
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode(), key.public_key()


class SimulatedGoogle:
    """One service account at `origin`, which keeps its keys and takes tokens only from those."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.keys: dict[str, rsa.RSAPublicKey] = {}
        self.files: list[dict[str, str]] = []
        self.tokens: set[str] = set()
        self.unknown_until: dict[str, int] = {}
        self.answers_for = EMAIL

    def new_key_file(self, email: str = EMAIL) -> dict[str, str]:
        number = len(self.files)
        pem, public = _key_pair(number % 5)
        key_id = hashlib.sha256(f"{self.origin} {number}".encode()).hexdigest()[:40]
        self.keys[key_id] = public
        file = {
            "type": "service_account",
            "project_id": "simulated",
            "private_key_id": key_id,
            "private_key": pem,
            "client_email": email,
            "token_uri": f"{self.origin}/token",
        }
        self.files.append(file)
        return file

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        path = urlsplit(url).path
        if path == "/token":
            return self._exchange(body)
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no such token"}}
        match = re.fullmatch(r"/v1/projects/-/serviceAccounts/([^/]+)/keys(?:/([^/]+))?", path)
        if match is None or unquote(match[1]) != self.answers_for:
            return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such account"}}
        if method == "POST":
            return self._create(json.loads(body))
        if method == "DELETE":
            gone = self.keys.pop(match[2], None) is None
            return (404, {"error": {"code": 404, "status": "NOT_FOUND"}}) if gone else (200, {})
        assert urlsplit(url).query == "keyTypes=USER_MANAGED"
        names = [
            {"name": f"projects/simulated/serviceAccounts/{EMAIL}/keys/{key_id}"} for key_id in self.keys
        ]
        return 200, {"keys": names} if names else {}

    def _create(self, asked: dict[str, str]) -> Answer:
        assert asked == {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE", "keyAlgorithm": "KEY_ALG_RSA_2048"}
        if len(self.keys) >= MOST_KEYS:
            return 429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "too many keys"}}
        file = self.new_key_file()
        name = f"projects/simulated/serviceAccounts/{EMAIL}/keys/{file['private_key_id']}"
        data = base64.b64encode(json.dumps(file).encode()).decode()
        return 200, {"name": name, "privateKeyData": data, "keyType": "USER_MANAGED"}

    def _exchange(self, body: bytes) -> Answer:
        form = parse_qs(body.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        signed, _, signature = form["assertion"][0].rpartition(".")
        header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        assert header["alg"] == "RS256"
        assert claims["aud"] == "https://oauth2.googleapis.com/token"
        assert claims["exp"] - claims["iat"] <= 3600
        key_id = header["kid"]
        public = self.keys.get(key_id)
        self.unknown_until[key_id] = self.unknown_until.get(key_id, 0) - 1
        unknown = public is None or self.unknown_until[key_id] >= 0
        if unknown or not _signature_is_valid(public, _decoded(signature), signed.encode()):
            return 400, {"error": "invalid_grant", "error_description": f"Invalid JWT Signature: {signed}"}
        token = f"ya29.token-of-{key_id}-{len(self.tokens)}"
        self.tokens.add(token)
        return 200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}


def _signature_is_valid(public: rsa.RSAPublicKey | None, signature: bytes, signed: bytes) -> bool:
    assert public is not None
    try:
        public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class SimulatedAdministration:
    """One project's service accounts, and the endpoint that takes their keys."""

    def __init__(self, origin: str) -> None:
        self.url = f"{origin}/v1/organization/projects/p1"
        self.test_url = f"{origin}/v1/models"
        self.admin_key = "sk-admin-simulated-key-of-the-administrator"
        self.accounts: dict[str, tuple[str, str]] = {"svc_acct_other": ("somebody-else", "sk-svcacct-other")}
        self.keys: set[str] = {"sk-svcacct-other"}
        self.every_key: list[str] = []
        self.page_size = 2

    def new_key(self) -> str:
        number = len(self.every_key)
        key = f"sk-svcacct-{hashlib.sha256(f'{self.url} {number}'.encode()).hexdigest()}"
        self.keys.add(key)
        self.every_key.append(key)
        return key

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        path = url.partition("?")[0]
        if path == self.test_url:
            assert method == "GET"
            if key in self.keys:
                return 200, {"object": "list", "data": []}
            return 401, {"error": {"code": "invalid_api_key", "message": f"Incorrect API key: {key}"}}
        if key != self.admin_key:
            return 401, {"error": {"code": "invalid_api_key", "message": f"Incorrect API key: {key}"}}
        if method == "POST":
            return self._create(json.loads(body)["name"])
        if method == "GET":
            return self._page(parse_qs(urlsplit(url).query))
        account = self.accounts.pop(unquote(path.rpartition("/")[2]), None)
        if account is None:
            return 404, {"error": {"code": "not_found", "message": "no such service account"}}
        self.keys.discard(account[1])
        return 200, {"object": "organization.project.service_account.deleted", "deleted": True}

    def _create(self, name: str) -> Answer:
        key = self.new_key()
        account_id = f"svc_acct_{len(self.every_key)}"
        self.accounts[account_id] = (name, key)
        return 200, {"id": account_id, "name": name, "api_key": {"id": f"key_{account_id}", "value": key}}

    def _page(self, query: dict[str, list[str]]) -> Answer:
        ids = list(self.accounts)
        start = ids.index(query["after"][0]) + 1 if "after" in query else 0
        page = ids[start : start + self.page_size]
        more = start + self.page_size < len(ids)
        data = [{"id": each, "name": self.accounts[each][0]} for each in page]
        return 200, {"object": "list", "data": data, "has_more": more, "last_id": page[-1] if page else None}


@contextmanager
def served() -> Iterator[tuple[str, list[Ask]]]:
    """An origin on loopback, and the list to put what answers there into."""
    answers: list[Ask] = []

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = answers[0](self.command, origin + self.path, headers, body)
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in document.items():
                if name == "location":
                    self.send_header(name, str(value))
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _do  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield origin, answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
