"""No finding is accepted in bulk, and none that has gone."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from stacks.acknowledgements import LISTED_ONLY, Acknowledgement, acknowledge, listed
from tests.stacks.synthesis import ENVIRONMENT_NAMES, build_environment, load_environment, new_app


@dataclass(frozen=True)
class Finding:
    """What a rule objects to at a construct; a rule is known by its own name or with its pack's."""

    path: str
    names: frozenset[str]

    def is_accepted_by(self, acknowledgement: Acknowledgement) -> bool:
        below = f"{self.path}/".startswith(f"{acknowledgement.path}/")
        return below and acknowledgement.finding in self.names


def findings(app: cdk.App, directory: Path) -> list[Finding]:
    """Everything that the rules report of an app; the synthesis itself raises where there is anything."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with contextlib.suppress(RuntimeError):
        app.synth()
    report = json.loads((directory / "validation-report.json").read_text())
    return [
        Finding(
            construct["constructPath"],
            frozenset({rule, f"{plugin['pluginName'].replace(' ', '-')}::{rule}"}),
        )
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for rule in [violation["ruleName"]]
        for construct in violation["violatingConstructs"]
    ]


@dataclass(frozen=True)
class Review:
    """An environment's findings with every acknowledgement off, and the acknowledgements."""

    findings: list[Finding]
    acknowledgements: list[Acknowledgement]


@pytest.fixture(scope="module", params=ENVIRONMENT_NAMES)
def review(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Review:
    directory = tmp_path_factory.mktemp("review")
    app = new_app(directory, validated=True, **{LISTED_ONLY: True})
    build_environment(app, load_environment(request.param))
    return Review(acknowledgements=list(listed(app)), findings=findings(app, directory))


def test_every_acknowledgement_meets_a_finding(review: Review) -> None:
    stale = [
        one
        for one in review.acknowledgements
        if not any(finding.is_accepted_by(one) for finding in review.findings)
    ]
    assert review.acknowledgements
    assert stale == []


def test_every_finding_is_acknowledged(review: Review) -> None:
    unexpected = [
        finding
        for finding in review.findings
        if not any(finding.is_accepted_by(one) for one in review.acknowledgements)
    ]
    assert unexpected == []


def test_every_acknowledgement_has_a_reason_to_judge(review: Review) -> None:
    assert [one for one in review.acknowledgements if len(one.reason.split()) < 5] == []


def test_a_finding_is_silent_exactly_when_it_is_acknowledged(tmp_path: Path) -> None:
    def found(accepted: str) -> set[str]:
        directory = tmp_path / accepted
        app = new_app(directory)
        acknowledge(sqs.Queue(cdk.Stack(app, "Stack"), "Queue"), accepted, reason="To see it go.")
        return {name for finding in findings(app, directory) for name in finding.names}

    assert "AwsSolutions-SQS3" not in found("AwsSolutions-SQS3")
    assert "AwsSolutions-SQS3" in found("AwsSolutions-SQS4")


def test_a_whole_stack_cannot_be_acknowledged(tmp_path: Path) -> None:
    stack = cdk.Stack(new_app(tmp_path), "Stack")
    with pytest.raises(TypeError, match="all of Stack"):
        acknowledge(stack, "AwsSolutions-SQS3", reason="Too much at once.")
