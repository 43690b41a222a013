"""What every rule says of an environment with all acknowledgements off, beside the acknowledgements."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk

from stacks.acknowledgements import LISTED_ONLY, Acknowledgement, listed
from stacks.settings import Environment
from stacks.validation import judge
from tests.stacks.synthesis import build_environment, new_app

_REPORT_IN_EXCEPTION = "@aws-cdk/core:appMode"


@dataclass(frozen=True)
class Finding:
    """What a rule of a pack objects to at a construct; `rule` as its pack reports it."""

    pack: str
    rule: str
    path: str
    description: str

    @property
    def names(self) -> frozenset[str]:
        """What an acknowledgement may call it: by its own name, or with its pack's before it."""
        return frozenset({self.rule, f"{self.pack}::{self.rule}"})

    def is_accepted_by(self, acknowledgement: Acknowledgement) -> bool:
        below = f"{self.path}/".startswith(f"{acknowledgement.path}/")
        return below and acknowledgement.finding in self.names


@dataclass(frozen=True)
class Review:
    """An environment's findings and acknowledgements."""

    findings: tuple[Finding, ...]
    acknowledgements: tuple[Acknowledgement, ...]

    def accepting(self, finding: Finding) -> list[Acknowledgement]:
        """The acknowledgements of a finding."""
        return [one for one in self.acknowledgements if finding.is_accepted_by(one)]

    @property
    def open(self) -> list[Finding]:
        """Findings that nobody has accepted."""
        return [finding for finding in self.findings if not self.accepting(finding)]

    @property
    def stale(self) -> list[Acknowledgement]:
        """Acknowledgements of what no rule objects to any more."""
        return [
            one
            for one in self.acknowledgements
            if not any(finding.is_accepted_by(one) for finding in self.findings)
        ]


def review(environment: Environment, directory: Path) -> Review:
    """Synthesise an environment with every rule on and every acknowledgement off."""
    app = new_app(directory, validated=True, **{LISTED_ONLY: True, _REPORT_IN_EXCEPTION: "inmemory"})
    build_environment(app, environment)
    judge(app, environment)
    acknowledgements = tuple(listed(app))
    return Review(findings=tuple(findings(app, directory)), acknowledgements=acknowledgements)


def findings(app: cdk.App, directory: Path) -> Iterator[Finding]:
    """What the plugins of an app report of it; the synthesis itself raises where there is anything."""
    with contextlib.suppress(RuntimeError):
        app.synth()
    report = json.loads((directory / "validation-report.json").read_text())
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield Finding(
                    pack=plugin["pluginName"].replace(" ", "-"),
                    rule=violation["ruleName"],
                    path=construct["constructPath"],
                    description=violation["description"],
                )
