"""How long a request may take when providers are slow."""

from __future__ import annotations

import pytest

from gateway.control.flag_control import FlagControl
from gateway.control.flag_tiers import TABLE
from gateway.control.plane import ControlPlane, Credential
from gateway.control.registry import Provider
from gateway.control.secrets import KeyRing
from gateway.control.snapshot import Loaded, Snapshot
from gateway.control.take_up import TakeUp
from gateway.failures import Reason, RefusalError
from gateway.model import Completion, Intent, Message, Request, Role, Text
from gateway.pipeline import Pipeline
from gateway.providers.adapter import FailureKind, HttpRequest, HttpResponse, ProviderError
from gateway.resilience.circuits import Circuits
from gateway.resilience.deadline import call_timeout_s, request_timeout_s
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import RequestRecord
from tests.gateway.flag_world import ScriptedTier
from tests.gateway.test_routing import MODELS, ROUTE_SET


@pytest.mark.parametrize(
    ("sla_ms", "seconds"),
    [(1, 30.0), (5_000, 30.0), (5_001, 30.006), (10_000, 60.0), (20_000, 120.0), (600_000, 120.0)],
)
def test_a_call_may_take_six_times_the_wish_from_half_a_minute_to_two(sla_ms: int, seconds: float) -> None:
    assert call_timeout_s(sla_ms) == pytest.approx(seconds, abs=1e-9)


class SlowProviders:
    """Adapter and sender in one: every call takes what it is given of `take_s` and brings nothing."""

    def __init__(self, *take_s: float) -> None:
        self.now_s = 1000.0
        self.timeouts_s: list[float] = []
        self._take_s = iter(take_s)

    def prepare(self, _request: Request, invocation_id: str) -> HttpRequest:
        return HttpRequest("POST", invocation_id, {}, b"")

    def parse(self, response: HttpResponse, request: Request) -> Completion:
        raise NotImplementedError

    async def send(self, _request: HttpRequest, timeout_s: float) -> HttpResponse:
        self.timeouts_s.append(timeout_s)
        self.now_s += min(next(self._take_s), timeout_s)
        raise ProviderError(FailureKind.TIMEOUT, "too slow")


def holding(name: str, value: object) -> Snapshot[object]:
    snapshot: Snapshot[object] = Snapshot(name, lambda _previous: Loaded(value), interval_s=3600)
    snapshot.refresh()
    return snapshot


def flags_without_anything() -> FlagControl:
    control = FlagControl((ScriptedTier(TABLE),))
    control.refresh_now(TABLE)
    return control


async def nothing(_refused: object) -> None:
    """No store is read here."""


def pipeline_of(providers: SlowProviders) -> Pipeline:
    control = ControlPlane(
        registry=holding("registry", {(item.key, item.version): item for item in MODELS}),  # type: ignore[arg-type]
        route_set=holding("route_set", ROUTE_SET),  # type: ignore[arg-type]
        flags=flags_without_anything(),
        client_keys=holding("client_keys", KeyRing(("key",))),  # type: ignore[arg-type]
        admin_keys=holding("admin_keys", KeyRing(("key",))),  # type: ignore[arg-type]
        credentials={
            each: Credential(holding(each, "key"), lambda: True, lambda: None, TakeUp(lambda: "key", nothing))
            for each in Provider
        },
    )
    return Pipeline(
        control=control,
        adapters=dict.fromkeys(Provider, providers),  # type: ignore[arg-type]  # nothing is streamed
        sender=providers,  # type: ignore[arg-type]
        metrics=Metrics(),
        eu_only=True,
        circuits=Circuits(),
        clock=lambda: providers.now_s,
    )


@pytest.mark.parametrize(
    ("take_s", "given_s"),
    [
        ([999, 999, 999], [60, 60]),  # nothing is left for a third
        ([50, 50, 999], [60, 60, 20]),
        ([60, 59.5, 999], [60, 60]),  # half a second is no time to answer in
        ([0, 0, 999], [60, 60, 60]),
    ],
)
async def test_all_calls_of_a_request_take_twice_the_time_of_one_at_most(
    take_s: list[float], given_s: list[float]
) -> None:
    providers = SlowProviders(*take_s)
    request = Request("r", (Message(Role.USER, (Text("hello"),)),), intent=Intent(sla_ms=10_000))
    with pytest.raises(RefusalError) as refused:
        await pipeline_of(providers).answer(request, RequestRecord("r"))
    assert refused.value.reason is Reason.PROVIDER_TIMEOUT
    assert providers.timeouts_s == given_s
    assert providers.now_s - 1000.0 <= request_timeout_s(10_000)
