"""No finding is accepted in bulk, and none that has gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.settings import Environment
from stacks.settings_release import ReleaseStrategy
from tests.stacks.review import Review, findings
from tests.stacks.review import review as review_of
from tests.stacks.synthesis import ENVIRONMENT_NAMES, load_environment, new_app

CERTIFICATE = "arn:aws:acm:eu-central-1:333333333333:certificate/12345678"


def with_a_certificate() -> Environment:
    environment = load_environment("production")
    gateway = environment.gateway.model_copy(update={"certificate_arn": CERTIFICATE})
    return environment.model_copy(update={"gateway": gateway})


def released_in_steps() -> Environment:
    environment = load_environment("production")
    release = environment.release.model_copy(update={"strategy": ReleaseStrategy.CANARY})
    return environment.model_copy(update={"release": release})


VARIANTS: Mapping[str, Callable[[], Environment]] = {
    **{name: partial(load_environment, name) for name in ENVIRONMENT_NAMES},
    "production with a certificate": with_a_certificate,
    "production released in steps": released_in_steps,
}
"""Every declared environment, and what settings add or leave out beyond them."""


@pytest.fixture(scope="module", params=VARIANTS)
def review(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Review:
    return review_of(VARIANTS[request.param](), tmp_path_factory.mktemp("review"))


def test_every_acknowledgement_meets_a_finding(review: Review) -> None:
    assert review.acknowledgements
    assert [f"{one.finding} at {one.path}: nothing objects to it" for one in review.stale] == []


def test_every_finding_is_acknowledged(review: Review) -> None:
    assert [f"{one.pack}::{one.rule} at {one.path}: {one.description}" for one in review.open] == []


def test_every_pack_has_judged(review: Review) -> None:
    """Each has something to say of every environment, and is heard."""
    packs = {finding.pack for finding in review.findings}
    assert packs == {*Pack, "AwsSolutions", "CloudFormation-Validate", "House"}


def test_every_acknowledgement_has_a_reason_to_judge(review: Review) -> None:
    assert [one for one in review.acknowledgements if len(one.reason.split()) < 5] == []


def test_a_finding_is_silent_exactly_when_it_is_acknowledged(tmp_path: Path) -> None:
    def found(accepted: str) -> set[str]:
        directory = tmp_path / accepted
        app = new_app(directory)
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        acknowledge(sqs.Queue(cdk.Stack(app, "Stack"), "Queue"), accepted, reason="To see it go.")
        return {name for finding in findings(app, directory) for name in finding.names}

    assert "AwsSolutions-SQS3" not in found("AwsSolutions-SQS3")
    assert "AwsSolutions-SQS3" in found("AwsSolutions-SQS4")


def test_a_whole_stack_cannot_be_acknowledged(tmp_path: Path) -> None:
    stack = cdk.Stack(new_app(tmp_path), "Stack")
    with pytest.raises(TypeError, match="all of Stack"):
        acknowledge(stack, "AwsSolutions-SQS3", reason="Too much at once.")


def test_a_rule_is_accepted_in_all_packs_or_in_those_that_have_it() -> None:
    assert in_packs("LambdaDLQ", Pack.NIST, Pack.HIPAA) == (
        "NIST.800.53.R5-LambdaDLQ",
        "HIPAA.Security-LambdaDLQ",
    )
    assert len(in_packs("IAMNoInlinePolicy")) == 3
