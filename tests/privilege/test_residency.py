"""Nothing in a template of an EU-only environment leads out of the EU, whatever it is written in.

Judged is the text of the templates and their manifests, not what the stacks meant: ARNs, endpoints, hosts,
parameters, variables, replicas and declared models alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stacks.synthesis import Synthesis

EU_REGIONS = {"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"}
"""AWS's regions inside the EU. London is eu-west-2 and Zurich eu-central-2."""

REGION = re.compile(
    r"(?<![a-z0-9])(?:af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(?:-(?:gov|iso[a-z]?|de))?"
    r"-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-[0-9]+"
)
PROFILE = re.compile(
    r"(?<![a-z0-9.-])(apac|au|ca|eu|global|in|jp|sa|us|us-gov)"
    r"\.(?:ai21|amazon|anthropic|cohere|deepseek|guardrail|meta|mistral|openai|qwen|stability|twelvelabs|writer)\b"
)
GOOGLE = re.compile(r"[a-z0-9.-]*googleapis\.com")
EU_GOOGLE = re.compile(
    r"aiplatform\.(?:eu|europe-(?:west(?:1|3|4|8|9|10|12)|southwest1|north[12]|central2))\.rep\.googleapis\.com"
)
CREDENTIALS_ONLY = ("oauth2.googleapis.com", "iam.googleapis.com")
"""They see a signed assertion, and keys made and deleted, and never a prompt."""


def leaks(text: str) -> list[str]:
    """Whatever in `text` names a region, a profile or a Google endpoint outside the EU."""
    return sorted(
        {
            *(region for region in REGION.findall(text) if region not in EU_REGIONS),
            *(f"{match[0]}" for match in PROFILE.finditer(text) if match[1] != "eu"),
            *(
                host
                for host in GOOGLE.findall(text)
                if host not in CREDENTIALS_ONLY and not EU_GOOGLE.fullmatch(host)
            ),
        }
    )


def test_no_template_leads_out_of_the_eu(every_variant: Synthesis) -> None:
    assert every_variant.environment.deployment.eu_only
    found = {
        f"{stack}: {leak}"
        for stack, template in every_variant.templates.items()
        for leak in leaks(json.dumps(template))
    }
    assert found == set()


def test_no_stack_is_deployed_and_no_asset_published_elsewhere(every_variant: Synthesis) -> None:
    for file in sorted(every_variant.directory.glob("*.assets.json")):
        assert leaks(file.read_text()) == [], file.name
    assert leaks(json.dumps(every_variant.manifest["stacks"])) == []


def test_every_table_stays_in_its_region(every_variant: Synthesis) -> None:
    region = every_variant.environment.deployment.region
    for table in every_variant.resources("AWS::DynamoDB::GlobalTable"):
        assert [replica["Region"] for replica in table.properties["Replicas"]] == [region], table.name


def test_every_model_that_may_be_invoked_is_in_the_eu(every_variant: Synthesis) -> None:
    arns = [text for text in _texts(dict(every_variant.templates)) if text.startswith("arn:aws:bedrock:")]
    assert len(arns) >= 15
    for arn in arns:
        assert arn.split(":")[3] in EU_REGIONS, arn


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


@pytest.mark.parametrize(
    "text",
    [
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "inference-profile/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws:s3:::bucket-in-eu-west-2",
        "https://bedrock-runtime.eu-central-2.amazonaws.com",
        '{"Region": "ap-southeast-4"}',
        "us-gov-west-1",
        "https://aiplatform.googleapis.com",
        "https://europe-west2-aiplatform.googleapis.com",
        "aiplatform.us.rep.googleapis.com",
        "https://aiplatform.europe-west6.rep.googleapis.com",
    ],
)
def test_what_leads_out_of_the_eu_is_recognised(text: str) -> None:
    assert leaks(text)


@pytest.mark.parametrize(
    "text",
    [
        "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        "eu-central-1a",
        "https://aiplatform.eu.rep.googleapis.com",
        "oauth2.googleapis.com",
        "iam.googleapis.com",
        "arn:aws:iam::333333333333:role/x",
    ],
)
def test_what_stays_in_the_eu_is_left_alone(text: str) -> None:
    assert leaks(text) == []
