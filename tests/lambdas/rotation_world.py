"""One rotated secret with everything around it: a vault, a provider, a clock, Secrets Manager's calls."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from botocore.exceptions import ClientError

from lambdas.secret_rotation.handler import Outside, handler
from lambdas.secret_rotation.http_call import Reply, Request
from lambdas.secret_rotation.refusal import RotationError
from tests.lambdas.simulated_key_makers import SimulatedAdministration, SimulatedGoogle
from tests.lambdas.strict_vault import CURRENT, PENDING, PREVIOUS, StrictVault, refused

T = TypeVar("T")

KINDS = ("generated_keys", "google_service_account", "api_key_by_administration", "api_key_by_hand")
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rotated-AbCdEf"
ADMINISTRATION_ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:administration-AbCdEf"
GRACE_S = 7_200.0
A_DAY_S = 86_400.0
FIRST_KEY = "first-generated-key-of-the-gateway"


class CrashError(BaseException):
    """Lambda has ended the function."""


class Clock:
    """Time that passes only when it is told to, a millisecond a look so that moments differ."""

    def __init__(self) -> None:
        self.at_s = 1_795_000_000.0

    def now_s(self) -> float:
        self.at_s += 0.001
        return self.at_s

    def sleep(self, pause_s: float) -> None:
        self.at_s += pause_s


class Fault:
    """Breaks the n-th call to the outside: before or after it took effect, by an error or by the end."""

    def __init__(self) -> None:
        self.calls = 0
        self.number = 0
        self.when = ""
        self.how = ""

    def plan(self, number: int, when: str, how: str) -> None:
        self.calls, self.number, self.when, self.how = 0, number, when, how

    def around(self, call: Callable[[], T], error: Callable[[], Exception]) -> T:
        self.calls += 1
        if self.calls != self.number:
            return call()
        if self.when == "after":
            call()
        raise CrashError if self.how == "crash" else error()


class FaultyVault:
    """A vault every call of which passes by a `Fault`."""

    def __init__(self, vault: StrictVault, fault: Fault) -> None:
        self._vault = vault
        self._fault = fault

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._vault, name)
        return lambda **arguments: self._fault.around(
            lambda: call(**arguments), lambda: refused("InternalServiceError", name)
        )


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 120_000


class World:
    """Drives the function as Secrets Manager and EventBridge do. `said` is all that it printed or raised."""

    def __init__(self, kind: str, *, set_by_operator: bool = True, clock: Clock | None = None) -> None:
        self.kind = kind
        self.clock = clock or Clock()
        self.vault = StrictVault(self.clock.now_s)
        self.google = SimulatedGoogle("https://iam.googleapis.com")
        self.administration = SimulatedAdministration("https://llama.example.com")
        self.fault = Fault()
        self.said = io.StringIO()
        self.declared: dict[str, dict[str, object]] = {}
        self._number = 0
        self.vault.create(ARN, json.dumps(self.first_value() if set_by_operator else {}))
        self._key_before = self.current.get("current")
        self.vault.create(ADMINISTRATION_ARN, json.dumps({"admin_key": self.administration.admin_key}))

    # ---- what is there -----------------------------------------------------------------------------

    def first_value(self) -> Mapping[str, object]:
        if self.kind == "generated_keys":
            return {"current": FIRST_KEY, "previous": ""}
        if self.kind == "google_service_account":
            return self.google.new_key_file()
        return {"api_key": self.administration.new_key()}

    @property
    def settings(self) -> dict[str, object]:
        members: dict[str, dict[str, object]] = {
            "generated_keys": {"overlap_s": GRACE_S},
            "google_service_account": {"iam_base_url": "https://iam.googleapis.com", "grace_s": GRACE_S},
            "api_key_by_administration": {
                "administration_url": self.administration.url,
                "administration_secret": ADMINISTRATION_ARN,
                "test_url": self.administration.test_url,
                "grace_s": GRACE_S,
            },
            "api_key_by_hand": {"test_url": self.administration.test_url},
        }
        return {"name": "the-secret", "kind": self.kind, "provider": self.provider, **members[self.kind]}

    @property
    def provider(self) -> str:
        return {"generated_keys": "gateway", "google_service_account": "google"}.get(self.kind, "llama")

    @property
    def current(self) -> dict[str, Any]:
        return dict(json.loads(self.vault.text(ARN)))

    def provider_keys(self) -> set[str]:
        """The keys that a rotation is answerable for."""
        if self.kind == "google_service_account":
            return set(self.google.keys)
        if self.kind == "api_key_by_administration":
            return {
                id for id, (name, _key) in self.administration.accounts.items() if name != "somebody-else"
            }
        return set()

    def key_id(self, document: Mapping[str, Any]) -> str | None:
        member = {"google_service_account": "private_key_id", "api_key_by_administration": "key_id"}
        return document.get(member[self.kind]) if self.kind in member else None

    def labelled_key_ids(self, *labels: str) -> set[str]:
        versions = [self.vault.labelled(ARN, label) for label in labels]
        texts = [self.vault.secrets[ARN][id].text for id in versions if id is not None]
        return {key_id for text in texts if text and (key_id := self.key_id(json.loads(text)))}

    def current_works(self) -> bool:
        current = self.current
        if self.kind == "generated_keys":
            return len(current["current"]) >= 16
        if self.kind == "google_service_account":
            return current["private_key_id"] in self.google.keys
        return current["api_key"] in self.administration.keys

    def _next(self) -> int:
        self._number += 1
        return self._number

    # ---- what happens ------------------------------------------------------------------------------

    def start_rotation(self) -> str:
        token = f"rotation-{self._next():027d}"
        self.vault.rotate_secret(ARN, token)
        if self.kind == "api_key_by_hand":
            self.person_puts_pending(token)
        return token

    def person_puts_pending(self, token: str, **members: object) -> None:
        document = {"api_key": self.administration.new_key(), **members}
        self.vault.put_secret_value(
            SecretId=ARN,
            ClientRequestToken=token,
            SecretString=json.dumps(document),
            VersionStages=[PENDING],
        )

    def person_puts_current(self, document: Mapping[str, object]) -> None:
        self.vault.put_secret_value(
            SecretId=ARN,
            ClientRequestToken=f"by-a-person-{self._next():028d}",
            SecretString=json.dumps(document),
        )
        self._key_before = document.get("current")

    def call(self, event: object) -> None:
        outside = Outside(
            vault=FaultyVault(self.vault, self.fault),
            send=lambda request: self.fault.around(
                lambda: self.send(request), lambda: RotationError("no answer")
            ),
            now_s=self.clock.now_s,
            sleep=self.clock.sleep,
        )
        variables = {
            "ENVIRONMENT": "test",
            "ROTATED_SECRETS": json.dumps(self.declared or {ARN: self.settings}),
        }
        with contextlib.redirect_stdout(self.said):
            try:
                handler(event, Context(), variables=variables, outside=outside)
            except Exception:
                self.said.write(traceback.format_exc())
                raise
            finally:
                self.check_always()

    def send(self, request: Request) -> Reply:
        at_google = request.url.startswith(self.google.origin)
        answer = self.google.answer if at_google else self.administration.answer
        status, document = answer(request.method, request.url, request.headers, request.body or b"")
        return Reply(status=status, body=json.dumps(document).encode())

    def step(self, token: str, name: str) -> None:
        self.call({"SecretId": ARN, "ClientRequestToken": token, "Step": name})

    def rotate(self, token: str) -> None:
        for name in STEPS:
            self.step(token, name)

    def sweep(self) -> None:
        self.call({"sweep": True})

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said.getvalue().splitlines() if line.startswith("{")]

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """What is planned may happen; and a step may find that there is nothing for it to do."""
        with contextlib.suppress(CrashError, RotationError):
            yield

    # ---- what must hold ----------------------------------------------------------------------------

    def check_always(self) -> None:
        """The current value works, and no caller was cut off, whatever has been going on."""
        if self.kind == "generated_keys" and self.current.get("current") != self._key_before:
            assert self.current["previous"] == self._key_before, "callers with the old key are cut off"
            self._key_before = self.current["current"]
        if self.current:
            assert self.current_works(), f"AWSCURRENT does not work at the provider of {self.kind}"

    def check_settled(self) -> None:
        """Nothing is left of any rotation but the current key and the one before."""
        self.check_always()
        assert self.vault.labelled(ARN, PENDING) is None, "AWSPENDING is left"
        assert self.provider_keys() <= self.labelled_key_ids(CURRENT, PREVIOUS), "a key that nobody carries"

    def check_ended(self) -> None:
        """After the grace period the current key alone is left."""
        self.check_settled()
        assert self.provider_keys() == self.labelled_key_ids(CURRENT), "the old key lives on"
        if self.kind == "generated_keys":
            assert not self.current["previous"], "the old key is still accepted"

    def check_silent(self) -> None:
        """Nothing that was printed or raised holds a key, in any form that a program may give it."""
        said = self.said.getvalue()
        for key in self.every_key():
            for form in forms(key):
                assert form not in said, "a key was printed or raised"

    def every_key(self) -> Iterator[str]:
        for version in self.vault.secrets[ARN].values():
            yield from _texts(json.loads(version.text or "{}"))
        for file in self.google.files:
            yield file["private_key"]
            yield file["private_key"].splitlines()[3]
        yield from self.google.tokens
        yield from self.administration.every_key
        yield self.administration.admin_key


def _texts(document: Mapping[str, Any]) -> Iterator[str]:
    """What is secret in a value."""
    for member in ("current", "previous", "api_key", "admin_key", "private_key"):
        if document.get(member):
            yield str(document[member])


@functools.cache
def forms(key: str) -> frozenset[str]:
    """A text as JSON, base64, and URLs write it. Base64 of a longer text has three alignments."""
    aligned = [b"\0" * shift + key.encode() for shift in range(3)]
    return frozenset(
        [
            key,
            json.dumps(key)[1:-1],
            json.dumps(json.dumps(key))[3:-3],
            quote(key),
            *(base64.b64encode(each)[4:-4].decode() for each in aligned),
            *(base64.urlsafe_b64encode(each)[4:-4].decode() for each in aligned),
        ]
    )


def fails(call: Callable[[], None]) -> str:
    """The reason of a refusal."""
    try:
        call()
    except (RotationError, ClientError) as error:
        return str(error)
    raise AssertionError("it was not refused")
