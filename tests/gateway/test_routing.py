"""The decision: hard filters first, then a score that can be recalculated to the last digit."""

from __future__ import annotations

import functools
import math
import operator
import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.flag_declaration import Switch
from gateway.control.flag_declarations import KILL_SWITCH_ALL, KILL_SWITCHES, RolloutStage
from gateway.control.flags import BUILT_IN_FLAGS, Flags
from gateway.control.registry import (
    Capabilities,
    Lifecycle,
    Provider,
    RegistryItem,
    Residency,
    ToolSupport,
)
from gateway.failures import Reason, RefusalError
from gateway.model import BudgetTier, Image, Intent, Message, Request, Role, Text, Tool, ToolCall
from gateway.routing.decision import Filter, RouteDecision
from gateway.routing.eligibility import Demand, Situation, demand_of
from gateway.routing.policy import Domain, ModelReference, RouteSet, Weights
from gateway.routing.router import cost_per_thousand_tokens, decide, refusal_of
from tests.gateway.flag_values import flags_with
from tests.gateway.stores import ENVIRONMENTS, declared_models

ROUTE_SET = msgspec.convert(tomllib.loads((ENVIRONMENTS / "route-sets/default.toml").read_text()), RouteSet)
MODELS = declared_models()
HAIKU = next(item for item in MODELS if item.model == "claude-haiku-4-5")


def situation(models: list[RegistryItem] = MODELS, **changes: object) -> Situation:
    held = Situation(
        registry={(item.key, item.version): item for item in models},
        route_set=ROUTE_SET,
        flags=BUILT_IN_FLAGS,
        unconfigured={},
        eu_only=True,
    )
    return msgspec.structs.replace(held, **changes)


def demand(**changes: object) -> Demand:
    plain = Demand(
        Intent(), uses_tools=False, shows_images=False, input_tokens=100, maximum_output_tokens=None
    )
    return msgspec.structs.replace(plain, **changes)


def changed(item: RegistryItem, **changes: object) -> RegistryItem:
    return msgspec.structs.replace(item, **changes)


def filters(decision: RouteDecision) -> dict[str, Filter]:
    return {each.key: each.filter for each in decision.excluded}


@pytest.mark.parametrize(
    ("domain", "family"),
    [("legal", "claude"), ("culinary", "gemini"), ("medical", "claude")],
)
def test_a_standard_request_goes_where_the_table_says(domain: str, family: str) -> None:
    decision = decide(demand(intent=Intent(domain=domain)), situation())
    assert family in str(decision.chosen)


def test_the_domain_scores_are_those_of_the_table() -> None:
    def fits(domain: str) -> dict[str, float]:
        decision = decide(demand(intent=Intent(domain=domain)), situation())
        by_key = {item.key: item.family for item in MODELS}
        return {by_key[each.key]: each.partials[2].value for each in decision.candidates}

    assert fits("legal") == {"claude": 0.9, "gemini": 0.7, "llama": 0.5}
    assert set(fits("technical").values()) == {0.8}
    assert set(fits("medical")) == {"claude"}


@pytest.mark.parametrize("tier", BudgetTier)
def test_nothing_but_claude_answers_medical_requests(tier: BudgetTier) -> None:
    decision = decide(demand(intent=Intent(domain="medical", budget_tier=tier)), situation())
    assert all("claude" in each.key for each in decision.candidates)
    others = {item.key for item in MODELS if item.family != "claude"}
    assert filters(decision) == dict.fromkeys(others, Filter.CLOSED_DOMAIN)


@pytest.mark.parametrize("domain", ROUTE_SET.domains)
def test_the_low_tier_takes_the_cheapest(domain: str) -> None:
    decision = decide(demand(intent=Intent(domain=domain, budget_tier=BudgetTier.LOW)), situation())
    prices = {item.key: cost_per_thousand_tokens(item.price) for item in MODELS}
    assert decision.chosen == min((each.key for each in decision.candidates), key=prices.__getitem__)


@pytest.mark.parametrize("domain", ROUTE_SET.domains)
def test_a_hurried_premium_request_is_routed_unlike_a_patient_cheap_one(domain: str) -> None:
    premium = Intent(domain=domain, budget_tier=BudgetTier.PREMIUM, sla_ms=800)
    low = Intent(domain=domain, budget_tier=BudgetTier.LOW, sla_ms=10_000)
    assert (
        decide(demand(intent=premium), situation()).chosen != decide(demand(intent=low), situation()).chosen
    )


def test_premium_takes_the_best_when_there_is_time_and_a_fast_one_when_there_is_none() -> None:
    patient = Intent(budget_tier=BudgetTier.PREMIUM)
    hurried = Intent(budget_tier=BudgetTier.PREMIUM, sla_ms=800)
    assert decide(demand(intent=patient), situation()).chosen == "bedrock#claude-sonnet-4-5"
    assert decide(demand(intent=hurried), situation()).chosen == "google#gemini-2.5-flash"


@pytest.mark.parametrize("domain", ["Medical", "MEDICAL", " medical", "medical ", "medical\t"])
def test_a_closed_domain_is_closed_however_it_is_spelt(domain: str) -> None:
    decision = decide(demand(intent=Intent(domain=domain)), situation())
    assert (decision.requested_domain, decision.domain) == (domain, "medical")
    assert decision.candidates
    assert all("claude" in each.key for each in decision.candidates)


@pytest.mark.parametrize(
    "domain", ["medicine", "medical,general", "general,medical", "médical", "medi cal", "x"]
)
def test_an_unknown_domain_is_refused_with_the_names_of_the_known(domain: str) -> None:
    with pytest.raises(RefusalError, match="culinary, general, legal, medical, technical") as refused:
        decide(demand(intent=Intent(domain=domain)), situation())
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert refused.value.parameter == "domain"


@pytest.mark.parametrize("domain", [Intent().domain, "General", "", " "])
def test_a_request_that_names_no_domain_is_served_by_the_default_one(domain: str) -> None:
    domains = {name: each for name, each in ROUTE_SET.domains.items() if name != "general"}
    without_general = msgspec.structs.replace(ROUTE_SET, domains=domains, default_domain="legal")
    decision = decide(demand(intent=Intent(domain=domain)), situation(route_set=without_general))
    assert decision.domain == "legal"


def test_the_partial_scores_are_the_declared_ones() -> None:
    decision = decide(demand(intent=Intent(domain="legal", sla_ms=2000)), situation())
    told = next(each for each in decision.candidates if each.key == HAIKU.key)
    values = {partial.name: partial.value for partial in told.partials}
    blended = (3 * 946_000 + 4_730_000) / 4 / 1000
    assert list(values) == ["latency", "cost", "domain", "tools"]
    assert values["latency"] == 1 - 1000 / 2000
    assert values["cost"] == pytest.approx(1 - blended / 6000)
    assert values["domain"] == 0.9
    assert values["tools"] == 1.0
    assert [partial.weight for partial in told.partials] == [0.15, 0.2, 0.55, 0.1]


def test_what_is_slower_than_the_sla_or_dearer_than_the_ceiling_scores_nothing_not_less() -> None:
    dear = msgspec.structs.replace(HAIKU.price, output_micro_per_million_tokens=10**9)
    slow = changed(HAIKU, expected_latency_ms=60_000, price=dear)
    decision = decide(demand(), situation([slow]))
    assert [partial.value for partial in decision.candidates[0].partials[:2]] == [0.0, 0.0]


@pytest.mark.parametrize(
    "version", ["\u0662026-11-01", "2026-\u0661\u0661-01", "2026-11-\uff10\uff11", "2026-11-01.\u0662"]
)
def test_a_version_is_told_in_ascii_digits(version: str) -> None:
    msgspec.convert({"key": HAIKU.key, "version": "2026-11-01.2"}, ModelReference)
    with pytest.raises(msgspec.ValidationError, match=r"at `\$\.version`"):
        msgspec.convert({"key": HAIKU.key, "version": version}, ModelReference)


def test_a_score_is_added_from_left_to_right_and_rounded_at_each_step() -> None:
    weights = Weights(latency=0.4, cost=0.1, domain=0.2, tools=0.3)
    tier = msgspec.structs.replace(ROUTE_SET.tiers.standard, weights=weights)
    route_set = msgspec.structs.replace(
        ROUTE_SET,
        tiers=msgspec.structs.replace(ROUTE_SET.tiers, standard=tier),
        domains={"general": Domain(fit={"claude": 1.0})},
    )
    free = msgspec.structs.replace(
        HAIKU.price, input_micro_per_million_tokens=0, output_micro_per_million_tokens=0
    )
    slow = changed(HAIKU, expected_latency_ms=60_000, price=free)
    decision = decide(demand(), situation([slow], route_set=route_set))
    contributions = [partial.contribution for partial in decision.candidates[0].partials]
    assert contributions == [0.0, 0.1, 0.2, 0.3]
    assert math.fsum(contributions) == 0.6
    assert decision.candidates[0].score == 0.6000000000000001


@pytest.mark.parametrize(("input_tokens", "expected"), [(950, None), (951, Filter.CONTEXT_WINDOW)])
def test_no_model_is_too_small_for_output_that_it_would_not_give(
    input_tokens: int, expected: Filter | None
) -> None:
    item = changed(HAIKU, context_window_tokens=1000, maximum_output_tokens=50)
    decision = decide(demand(input_tokens=input_tokens, maximum_output_tokens=100_000), situation([item]))
    assert filters(decision).get(item.key) is expected


def test_equal_scores_are_ordered_by_key() -> None:
    twins = [
        changed(item, expected_latency_ms=1000, price=HAIKU.price, capabilities=HAIKU.capabilities)
        for item in MODELS
    ]
    backwards = msgspec.structs.replace(ROUTE_SET, models=tuple(reversed(ROUTE_SET.models)))
    assert [each.key for each in backwards.models] != sorted(each.key for each in backwards.models)
    decision = decide(demand(intent=Intent(domain="technical")), situation(twins, route_set=backwards))
    keys = [each.key for each in decision.candidates]
    assert len({each.score for each in decision.candidates}) == 1
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lifecycle": Lifecycle.DRAFT}, Filter.LIFECYCLE),
        ({"lifecycle": Lifecycle.RETIRED}, Filter.LIFECYCLE),
        ({"lifecycle": Lifecycle.DEPRECATED}, None),
        ({"residency": Residency(eu_processing=False, eu_licence=True)}, Filter.RESIDENCY),
        ({"residency": Residency(eu_processing=True, eu_licence=False)}, Filter.RESIDENCY),
        ({"context_window_tokens": 100, "maximum_output_tokens": 50}, Filter.CONTEXT_WINDOW),
        ({"context_window_tokens": 101, "maximum_output_tokens": 50}, None),
    ],
)
def test_a_models_own_state_excludes_it(changes: dict[str, object], expected: Filter | None) -> None:
    decision = decide(demand(), situation([changed(HAIKU, **changes)]))
    assert filters(decision).get(HAIKU.key) is expected


@pytest.mark.parametrize(
    ("tools", "asked", "expected"),
    [
        (ToolSupport.NONE, {"uses_tools": True}, Filter.TOOLS),
        (ToolSupport.PROMPT, {"uses_tools": True}, None),
        (ToolSupport.PROMPT, {"intent": Intent(require_tools=True)}, Filter.TOOLS),
        (ToolSupport.NATIVE, {"uses_tools": True, "intent": Intent(require_tools=True)}, None),
        (ToolSupport.NATIVE, {"shows_images": True}, Filter.VISION),
    ],
)
def test_what_a_request_needs_excludes_models_that_lack_it(
    tools: ToolSupport, asked: dict[str, object], expected: Filter | None
) -> None:
    item = changed(HAIKU, capabilities=Capabilities(tools=tools, vision=False, json_schema=False))
    assert filters(decide(demand(**asked), situation([item]))).get(item.key) is expected


def test_the_kill_switches_stop_one_provider_or_all() -> None:
    one = decide(demand(), situation(flags=flags_with({"kill-switch.bedrock": "on"})))
    assert {key for key, each in filters(one).items() if each is Filter.KILL_SWITCH} == {
        item.key for item in MODELS if item.provider is Provider.BEDROCK
    }
    assert not decide(demand(), situation(flags=flags_with({"kill-switch.all": "on"}))).candidates


def test_a_version_the_registry_does_not_have_is_excluded() -> None:
    decision = decide(demand(), situation([item for item in MODELS if item != HAIKU]))
    assert filters(decision)[HAIKU.key] is Filter.UNREGISTERED


def test_a_provider_without_a_credential_is_excluded_with_the_reason() -> None:
    decision = decide(
        demand(), situation(unconfigured={Provider.GOOGLE: "no credential is set for the provider"})
    )
    told = [each for each in decision.excluded if each.filter is Filter.NOT_CONFIGURED]
    assert {each.key for each in told} == {"google#gemini-2.5-flash", "google#gemini-2.5-pro"}
    assert {each.reason for each in told} == {"no credential is set for the provider"}


@pytest.mark.parametrize("name", ["claude-haiku-4-5", "bedrock#claude-haiku-4-5"])
def test_a_named_model_is_the_only_candidate(name: str) -> None:
    decision = decide(demand(intent=Intent(model=name)), situation())
    assert [each.key for each in decision.candidates] == [HAIKU.key]
    assert set(filters(decision).values()) == {Filter.PINNED_MODEL}


def test_an_unknown_model_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(RefusalError, match="claude-haiku-4-5") as refused:
        decide(demand(intent=Intent(model="gpt-9")), situation())
    assert refused.value.reason is Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize("stage", RolloutStage)
def test_the_policys_first_choice_holds_at_every_stage_while_nothing_is_learned(stage: RolloutStage) -> None:
    decision = decide(demand(), situation(flags=flags_with({"rollout-stage": stage})))
    assert decision.stage is stage
    assert decision.chosen == decide(demand(), situation()).chosen
    assert decision.propensity == 1.0


@pytest.mark.parametrize(
    ("asked", "changes", "reason"),
    [
        ({"input_tokens": 10**9}, {}, Reason.CONTEXT_LENGTH_EXCEEDED),
        (
            {"input_tokens": 10**9, "intent": Intent(model="gemini-2.5-pro")},
            {},
            Reason.CONTEXT_LENGTH_EXCEEDED,
        ),
        ({}, {"flags": flags_with({"kill-switch.all": "on"})}, Reason.NO_AVAILABLE_MODEL),
        ({}, {"models": []}, Reason.NO_AVAILABLE_MODEL),
        ({"intent": Intent(model="gemini-2.5-pro", domain="medical")}, {}, Reason.NO_ELIGIBLE_MODEL),
        # Too long for some, but that is not what stands in the way of the others:
        ({"input_tokens": 10**9, "intent": Intent(domain="medical")}, {}, Reason.NO_ELIGIBLE_MODEL),
        (
            {"input_tokens": 10**9},
            {"flags": flags_with({"kill-switch.google": "on"})},
            Reason.NO_AVAILABLE_MODEL,
        ),
    ],
)
def test_no_eligible_model_is_the_callers_or_the_operators_affair(
    asked: dict[str, object], changes: dict[str, object], reason: Reason
) -> None:
    holding = situation(**changes)  # type: ignore[arg-type]
    decision = decide(demand(**asked), holding)
    refusal = refusal_of(decision, holding)
    assert refusal.reason is reason
    for each in decision.excluded:
        assert (each.key in refusal.message) is (each.filter is not Filter.PINNED_MODEL)


def test_a_provider_that_failed_just_now_is_left_out() -> None:
    decision = decide(demand(), situation(paused={"google": 2.0}))
    assert {each.provider for each in decision.candidates} == set(Provider) - {Provider.GOOGLE}
    assert {each.filter for each in decision.excluded} == {Filter.CIRCUIT}


def test_a_model_that_failed_just_now_leaves_its_provider_in() -> None:
    decision = decide(demand(), situation(paused={"google#gemini-2.5-pro": 2.0}))
    assert [each.key for each in decision.excluded] == ["google#gemini-2.5-pro"]


def test_whoever_finds_only_failed_models_is_told_when_to_come_back() -> None:
    pauses = {"bedrock": 7.2, "google": 3.4, "llama": 9.0, "google#gemini-2.5-pro": 20.0}
    holding = situation(paused=pauses)
    refusal = refusal_of(decide(demand(), holding), holding)
    assert (refusal.reason, refusal.retry_after_s) == (Reason.PROVIDER_UNAVAILABLE, 4.0)


def test_the_demand_is_read_off_the_request() -> None:
    user = Message(Role.USER, (Text("x" * 400), Image("image/png", b"1")))
    request = Request("1", (user,), tools=(Tool("f"),))
    asked = demand_of(request)
    assert asked.shows_images
    assert asked.uses_tools
    assert asked.input_tokens > 1000
    call = Message(Role.ASSISTANT, tool_calls=(ToolCall("1", "f", "{}"),))
    assert demand_of(Request("1", (call,))).uses_tools
    assert not demand_of(Request("1", (Message(Role.USER, (Text("x"),)),))).uses_tools


items = st.builds(
    changed,
    st.sampled_from(MODELS),
    lifecycle=st.sampled_from(Lifecycle),
    capabilities=st.builds(Capabilities, st.sampled_from(ToolSupport), st.booleans(), st.booleans()),
    residency=st.builds(Residency, st.booleans(), st.booleans()),
    expected_latency_ms=st.integers(1, 20_000),
    context_window_tokens=st.integers(70_000, 300_000),
)
registries = st.lists(items, max_size=6, unique_by=lambda item: item.key)
demands = st.builds(
    Demand,
    intent=st.builds(
        Intent,
        model=st.sampled_from([None, None, *(item.model for item in MODELS)]),
        domain=st.sampled_from([*ROUTE_SET.domains, "Medical "]),
        budget_tier=st.sampled_from(BudgetTier),
        sla_ms=st.none() | st.integers(1, 60_000),
        require_tools=st.booleans(),
    ),
    uses_tools=st.booleans(),
    shows_images=st.booleans(),
    input_tokens=st.integers(0, 400_000),
    maximum_output_tokens=st.none() | st.integers(1, 100_000),
)
flags = st.dictionaries(
    st.sampled_from([KILL_SWITCH_ALL, *KILL_SWITCHES.values()]), st.sampled_from(Switch), max_size=3
).map(flags_with)


@given(registries, demands, flags, st.booleans())
def test_every_decision_can_be_checked_by_hand(
    models: list[RegistryItem], asked: Demand, set_flags: Flags, eu_only: bool
) -> None:
    held = situation(models, flags=set_flags, eu_only=eu_only)
    decision = decide(asked, held)
    candidates = [each.key for each in decision.candidates]
    assert sorted([*candidates, *filters(decision)]) == sorted(each.key for each in ROUTE_SET.models)
    assert decision.chosen == (candidates[0] if candidates else None)
    ranking = [(-each.score, each.key) for each in decision.candidates]
    assert ranking == sorted(ranking)
    for each in decision.candidates:
        assert each.score == functools.reduce(operator.add, (part.contribution for part in each.partials))
        assert all(part.contribution == part.weight * part.value for part in each.partials)
        assert all(0 <= part.value <= 1 for part in each.partials)
    assert msgspec.json.decode(msgspec.json.encode(decision), type=RouteDecision) == decision
    assert decide(asked, held) == decision


@given(registries, demands, flags)
def test_no_model_outside_the_eu_ever_gets_through(
    models: list[RegistryItem], asked: Demand, set_flags: Flags
) -> None:
    residency = {item.key: item.residency for item in models}
    for each in decide(asked, situation(models, flags=set_flags)).candidates:
        assert residency[each.key] == Residency(eu_processing=True, eu_licence=True)
