"""A failed CDK command is reduced to what its reader can act on."""

from __future__ import annotations

from pathlib import Path

from local.cdk_output import failure

LOG = Path("deploy.log")
FAILED_DEPLOYMENT = """\
app-network: creating stack...
app-network | 1 | 8:31 | CREATE_COMPLETE | AWS::EC2::VPC | Network/Vpc
app-guardrails | 1 | 8:31 | CREATE_FAILED | AWS::Bedrock::Guardrail | Legal Parameter validation failed:
Unknown parameter: "topics"
app-guardrails | 0 | 8:31 | DELETE_COMPLETE | AWS::KMS::Key | Guardrails/Key

Failed resources:
app-guardrails | 8:31 | CREATE_FAILED | AWS::Bedrock::Guardrail | Legal Parameter validation failed:
Unknown parameter: "topics"
❌  app-guardrails failed to deploy
 at something (index.js:1:1)
"""


def test_a_failed_deployment_shows_the_failed_resources_and_why() -> None:
    error = failure("deploy", FAILED_DEPLOYMENT, LOG)
    assert error.details.splitlines() == [
        "app-guardrails | 8:31 | CREATE_FAILED | AWS::Bedrock::Guardrail | "
        "Legal Parameter validation failed:",
        'Unknown parameter: "topics"',
    ]
    assert "deploy.log" in error.remedy


def test_an_unknown_resource_type_is_named_with_the_table_it_belongs_into() -> None:
    output = "❌ failed: ValidationError: Template format error: Unrecognized resource types: [AWS::X::Y]"
    error = failure("deploy", output, LOG)
    assert "AWS::X::Y" in error.reason
    assert "local/emulator/inert.py" in error.remedy


def test_a_failed_synthesis_shows_where_the_error_starts() -> None:
    output = "noise\n" * 30 + "SettingsError: scaling.tasks_maximum is too low\nmore\n"
    assert failure("synth", output, LOG).details.splitlines()[0].startswith("SettingsError")


def test_without_an_error_line_the_last_lines_are_shown() -> None:
    assert failure("synth", "one\ntwo\n", LOG).details == "one\ntwo"
