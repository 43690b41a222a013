"""The Guardrails stack: one guardrail a domain, judged inside the EU, in German and English."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from stacks.guardrails import GuardrailsStack
from stacks.settings import Environment
from stacks.settings_guardrails import REQUIRED_DOMAINS
from tests.stacks.synthesis import Synthesis, load_environment, new_app


def guardrails(synthesis: Synthesis) -> dict[str, dict[str, Any]]:
    """Properties of the guardrails, by domain."""
    return {
        resource.properties["Name"].removeprefix(
            synthesis.environment.stack_prefix + "-"
        ): resource.properties
        for resource in synthesis.resources("AWS::Bedrock::Guardrail", "Guardrails")
    }


def personal_data(guardrail: dict[str, Any]) -> dict[str, str]:
    entities = guardrail["SensitiveInformationPolicyConfig"]["PiiEntitiesConfig"]
    return {entity["Type"]: entity["Action"] for entity in entities}


def strengths(guardrail: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        entry["Type"]: (entry["InputStrength"], entry["OutputStrength"])
        for entry in guardrail["ContentPolicyConfig"]["FiltersConfig"]
    }


def version_descriptions(environment: Environment, directory: Path) -> dict[str, str]:
    """What each domain's published version is described as; another text publishes another version."""
    stack = GuardrailsStack(new_app(directory), "Guardrails", environment=environment)
    return {domain: str(guardrail.version.description) for domain, guardrail in stack.guardrails.items()}


def test_every_domain_has_a_guardrail_and_a_published_version(every_environment: Synthesis) -> None:
    versions = every_environment.resources("AWS::Bedrock::GuardrailVersion")

    assert set(guardrails(every_environment)) >= set(REQUIRED_DOMAINS)
    assert len(versions) == len(guardrails(every_environment))


def test_text_is_judged_in_the_eu_by_the_tier_that_understands_german(every_environment: Synthesis) -> None:
    deployment = every_environment.environment.deployment
    for guardrail in guardrails(every_environment).values():
        assert guardrail["CrossRegionConfig"]["GuardrailProfileArn"] == (
            f"arn:aws:bedrock:{deployment.region}:{deployment.account}:guardrail-profile/eu.guardrail.v1:0"
        )
        assert guardrail["ContentPolicyConfig"]["ContentFiltersTierConfig"] == {"TierName": "STANDARD"}
        if "TopicPolicyConfig" in guardrail:
            assert guardrail["TopicPolicyConfig"]["TopicsTierConfig"] == {"TierName": "STANDARD"}


def test_refusals_are_in_english_and_german(production: Synthesis) -> None:
    for guardrail in guardrails(production).values():
        assert "cannot be processed" in guardrail["BlockedInputMessaging"]
        assert "nicht bearbeitet" in guardrail["BlockedInputMessaging"]
        assert "withheld" in guardrail["BlockedOutputsMessaging"]
        assert "zurückgehalten" in guardrail["BlockedOutputsMessaging"]


def test_guardrails_are_encrypted_with_the_environments_own_key(production: Synthesis) -> None:
    (key,) = production.resources("AWS::KMS::Key", "Guardrails")

    assert key.properties["EnableKeyRotation"] is True
    for guardrail in guardrails(production).values():
        assert guardrail["KmsKeyArn"] == {"Fn::GetAtt": [key.logical_id, "Arn"]}


def test_attacks_are_judged_in_prompts_only_as_bedrock_demands(production: Synthesis) -> None:
    for guardrail in guardrails(production).values():
        assert strengths(guardrail)["PROMPT_ATTACK"] == ("HIGH", "NONE")


def test_a_case_file_may_describe_a_crime_that_general_text_may_not(production: Synthesis) -> None:
    found = guardrails(production)

    assert strengths(found["legal"])["VIOLENCE"] == ("LOW", "LOW")
    assert strengths(found["general"])["VIOLENCE"] == ("HIGH", "HIGH")


def test_patients_are_anonymous_and_credentials_never_leave(production: Synthesis) -> None:
    found = guardrails(production)

    assert personal_data(found["medical"])["NAME"] == "ANONYMIZE"
    assert all(personal_data(guardrail)["PASSWORD"] == "BLOCK" for guardrail in found.values())


def test_german_identifiers_that_bedrock_does_not_know_are_found_by_pattern(production: Synthesis) -> None:
    medical = guardrails(production)["medical"]["SensitiveInformationPolicyConfig"]["RegexesConfig"]

    assert {pattern["Name"] for pattern in medical} == {
        "german-health-insurance-number",
        "german-pension-insurance-number",
    }


def test_answers_are_held_to_their_sources_where_errors_hurt(production: Synthesis) -> None:
    found = guardrails(production)
    thresholds = {
        entry["Type"]: entry["Threshold"]
        for entry in found["medical"]["ContextualGroundingPolicyConfig"]["FiltersConfig"]
    }

    assert thresholds == {"GROUNDING": 0.8, "RELEVANCE": 0.6}
    assert "ContextualGroundingPolicyConfig" not in found["culinary"]


@pytest.mark.parametrize("domain", REQUIRED_DOMAINS)
def test_bedrock_would_accept_the_sizes_of_every_guardrail(production: Synthesis, domain: str) -> None:
    guardrail = guardrails(production)[domain]
    request = _as_api_request({**guardrail, "KmsKeyArn": "arn:aws:kms:eu-central-1:333333333333:key/k"})
    bedrock = botocore.session.get_session().get_service_model("bedrock")
    shape = bedrock.operation_model("CreateGuardrail").input_shape
    assert shape is not None

    report = ParamValidator().validate(request, shape)

    assert report.generate_report() == ""


def test_another_policy_publishes_another_version_and_the_same_policy_does_not(tmp_path: Path) -> None:
    environment = load_environment("production")
    legal = environment.guardrail_policies["legal"].model_copy(update={"profanity": True})
    changed = environment.model_copy(
        update={"guardrail_policies": {**environment.guardrail_policies, "legal": legal}}
    )

    before = version_descriptions(environment, tmp_path / "before")
    again = version_descriptions(environment, tmp_path / "again")
    after = version_descriptions(changed, tmp_path / "after")

    assert before == again
    assert {domain for domain in before if before[domain] != after[domain]} == {"legal"}


def test_the_version_in_use_outlives_the_publication_of_its_successor(production: Synthesis) -> None:
    for version in production.resources("AWS::Bedrock::GuardrailVersion"):
        assert version.body["UpdateReplacePolicy"] == "Retain"
        assert version.body["DeletionPolicy"] == "Delete"


# CloudFormation's name of a property, where the API's differs by more than its first letter.
_API_NAMES = {
    "KmsKeyArn": "kmsKeyId",
    "GuardrailProfileArn": "guardrailProfileIdentifier",
    "ContentFiltersTierConfig": "tierConfig",
    "TopicsTierConfig": "tierConfig",
}


def _as_api_request(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {
            _API_NAMES.get(key, key[:1].lower() + key[1:]): _as_api_request(inner)
            if key != "Tags"
            else [{"key": tag["Key"], "value": tag["Value"]} for tag in inner]
            for key, inner in value.items()
        }
    return [_as_api_request(inner) for inner in value] if isinstance(value, list) else value
