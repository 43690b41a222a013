"""What a guardrail blocks, by domain: the form of `environments/guardrails/<policy set>.toml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from stacks.settings_section import Section

Strength = Literal["NONE", "LOW", "MEDIUM", "HIGH"]


class ContentFilters(Section):
    """How strictly each kind of harmful content is blocked, in prompts and in answers."""

    hate: Strength = "HIGH"
    insults: Strength = "HIGH"
    sexual: Strength = "HIGH"
    violence: Strength = "HIGH"
    misconduct: Strength = "HIGH"
    prompt_attack: Strength = Field(
        default="HIGH", description="Jailbreaks and injections; judged in prompts only."
    )


class DeniedTopic(Section):
    """A subject that is refused whoever asks."""

    name: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z _!?.-]{0,99}$", description="Short name.")
    definition: str = Field(
        min_length=1, max_length=200, description="What belongs to the topic, in one or two sentences."
    )
    examples: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        min_length=1,
        max_length=5,
        description="Up to five prompts of the topic; have German and English ones.",
    )


PersonalDataType = Literal[
    "ADDRESS", "AGE", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "CREDIT_DEBIT_CARD_CVV", "CREDIT_DEBIT_CARD_EXPIRY",
    "CREDIT_DEBIT_CARD_NUMBER", "DRIVER_ID", "EMAIL", "INTERNATIONAL_BANK_ACCOUNT_NUMBER", "IP_ADDRESS",
    "LICENSE_PLATE", "MAC_ADDRESS", "NAME", "PASSWORD", "PHONE", "PIN", "SWIFT_CODE", "URL", "USERNAME",
    "VEHICLE_IDENTIFICATION_NUMBER",
]  # fmt: skip
"""Bedrock's types that are not bound to a country other than ours,
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-sensitive-filters.html"""


class PersonalDataPattern(Section):
    """An identifier that Bedrock does not know, by regular expression (no lookaround)."""

    name: str = Field(pattern=r"^[0-9A-Za-z_-]{1,100}$", description="Short name; what replaces the text.")
    description: str = Field(min_length=1, max_length=1000, description="What the pattern finds.")
    pattern: str = Field(min_length=1, max_length=500, description="Regular expression.")
    action: Literal["BLOCK", "ANONYMIZE"] = Field(description="Refuse the text, or replace what was found.")


class PersonalData(Section):
    """What happens to personal data."""

    block: tuple[PersonalDataType, ...] = Field(
        default=(), description="Types that make the whole text refused."
    )
    anonymize: tuple[PersonalDataType, ...] = Field(
        default=(), description="Types replaced by their name, e.g. {EMAIL}."
    )
    patterns: tuple[PersonalDataPattern, ...] = Field(
        default=(), max_length=30, description="Identifiers that Bedrock does not know."
    )


class Grounding(Section):
    """Least scores an answer needs where the request brings sources; below, it is refused.

    CloudFormation cannot choose the standard tier for this check yet, and the classic one judges
    English, French and Spanish: do not rely on it for German answers.
    """

    grounding_threshold: float = Field(
        ge=0, le=0.99, description="How far the answer must follow from the sources."
    )
    relevance_threshold: float = Field(
        ge=0, le=0.99, description="How far the answer must meet the question."
    )


class Refusal(Section):
    """What the caller reads instead of a blocked text."""

    english: str = Field(min_length=1, max_length=240)
    german: str = Field(min_length=1, max_length=240)

    @property
    def text(self) -> str:
        """Both languages, because a guardrail has one message and does not know the caller's."""
        return f"{self.english} / {self.german}"


class GuardrailPolicy(Section):
    """What the guardrail of one domain blocks, in English and in German."""

    description: str = Field(
        min_length=1, max_length=200, description="What the domain is and why it is strict."
    )
    content_filters: ContentFilters = ContentFilters()
    personal_data: PersonalData = PersonalData()
    denied_topics: tuple[DeniedTopic, ...] = Field(default=(), max_length=30)
    grounding: Grounding | None = None
    profanity: bool = Field(default=False, description="Whether swear words are blocked.")
    blocked_prompt: Refusal = Refusal(
        english="This request cannot be processed.", german="Diese Anfrage kann nicht bearbeitet werden."
    )
    blocked_answer: Refusal = Refusal(
        english="The answer was withheld.", german="Die Antwort wurde zurückgehalten."
    )


REQUIRED_DOMAINS = ("legal", "medical", "culinary", "technical", "general")


def _covers_required_domains(policies: dict[str, GuardrailPolicy]) -> dict[str, GuardrailPolicy]:
    missing = [domain for domain in REQUIRED_DOMAINS if domain not in policies]
    if missing:
        raise PydanticCustomError(
            "domains",
            "these domains have no guardrail: {missing}",
            {"missing": ", ".join(missing), "remedy": "add a table [domains.<name>] for each"},
        )
    return policies


class GuardrailPolicySet(Section):
    """The guardrails of all domains. Unknown domains are served by that of `general`."""

    domains: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,17}$")], GuardrailPolicy],
        AfterValidator(_covers_required_domains),
    ] = Field(description="Policy by domain: legal, medical, culinary, technical, general, and any of yours.")
