"""The guardrail of one domain, and the version of it that requests use."""

from __future__ import annotations

import hashlib

import aws_cdk as cdk
from aws_cdk import aws_bedrock as bedrock
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.settings import GuardrailPolicy

TIER = "STANDARD"
"""The tier that understands German; it needs a cross-region profile,
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-tiers.html"""


class DomainGuardrail(Construct):
    """A guardrail as `policy` describes it, and one published version for each content it has had."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        policy: GuardrailPolicy,
        profile_arn: str,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self.guardrail = bedrock.CfnGuardrail(
            self,
            "Guardrail",
            name=name,
            description=policy.description,
            blocked_input_messaging=policy.blocked_prompt.text,
            blocked_outputs_messaging=policy.blocked_answer.text,
            cross_region_config=bedrock.CfnGuardrail.GuardrailCrossRegionConfigProperty(
                guardrail_profile_arn=profile_arn
            ),
            kms_key_arn=key.key_arn,
            content_policy_config=_content(policy),
            topic_policy_config=_topics(policy),
            word_policy_config=_words(policy),
            sensitive_information_policy_config=_personal_data(policy),
            contextual_grounding_policy_config=_grounding(policy),
        )
        self.version = bedrock.CfnGuardrailVersion(
            self,
            "Version",
            guardrail_identifier=self.guardrail.attr_guardrail_id,
            # A version is a frozen copy: only another description makes CloudFormation publish another one.
            description=f"Policy {_digest(policy)}",
        )
        # Requests name the old version until the gateway is deployed: it must outlive its successor's birth.
        self.version.cfn_options.update_replace_policy = cdk.CfnDeletionPolicy.RETAIN
        self.version.cfn_options.deletion_policy = cdk.CfnDeletionPolicy.DELETE

    @property
    def guardrail_id(self) -> str:
        """What a request names the guardrail by."""
        return self.guardrail.attr_guardrail_id

    @property
    def guardrail_arn(self) -> str:
        """What a role is allowed to apply."""
        return self.guardrail.attr_guardrail_arn

    @property
    def published_version(self) -> str:
        """Number of the published version."""
        return self.version.attr_version


def _digest(policy: GuardrailPolicy) -> str:
    return hashlib.sha256(policy.model_dump_json().encode()).hexdigest()[:16]


def _content(policy: GuardrailPolicy) -> bedrock.CfnGuardrail.ContentPolicyConfigProperty:
    strengths: dict[str, str] = policy.content_filters.model_dump()
    return bedrock.CfnGuardrail.ContentPolicyConfigProperty(
        content_filters_tier_config=bedrock.CfnGuardrail.ContentFiltersTierConfigProperty(tier_name=TIER),
        filters_config=[
            bedrock.CfnGuardrail.ContentFilterConfigProperty(
                type=kind.upper(),
                input_strength=strength,
                # Bedrock judges attacks in prompts only and refuses another value here.
                output_strength="NONE" if kind == "prompt_attack" else strength,
            )
            for kind, strength in strengths.items()
        ],
    )


def _topics(policy: GuardrailPolicy) -> bedrock.CfnGuardrail.TopicPolicyConfigProperty | None:
    if not policy.denied_topics:
        return None
    return bedrock.CfnGuardrail.TopicPolicyConfigProperty(
        topics_tier_config=bedrock.CfnGuardrail.TopicsTierConfigProperty(tier_name=TIER),
        topics_config=[
            bedrock.CfnGuardrail.TopicConfigProperty(
                name=topic.name, type="DENY", definition=topic.definition, examples=list(topic.examples)
            )
            for topic in policy.denied_topics
        ],
    )


def _words(policy: GuardrailPolicy) -> bedrock.CfnGuardrail.WordPolicyConfigProperty | None:
    if not policy.profanity:
        return None
    return bedrock.CfnGuardrail.WordPolicyConfigProperty(
        managed_word_lists_config=[bedrock.CfnGuardrail.ManagedWordsConfigProperty(type="PROFANITY")]
    )


def _personal_data(
    policy: GuardrailPolicy,
) -> bedrock.CfnGuardrail.SensitiveInformationPolicyConfigProperty | None:
    personal_data = policy.personal_data
    actions = [
        *((kind, "BLOCK") for kind in personal_data.block),
        *((kind, "ANONYMIZE") for kind in personal_data.anonymize),
    ]
    if not actions and not personal_data.patterns:
        return None
    return bedrock.CfnGuardrail.SensitiveInformationPolicyConfigProperty(
        pii_entities_config=[
            bedrock.CfnGuardrail.PiiEntityConfigProperty(type=kind, action=action) for kind, action in actions
        ]
        or None,
        regexes_config=[
            bedrock.CfnGuardrail.RegexConfigProperty(
                name=pattern.name,
                description=pattern.description,
                pattern=pattern.pattern,
                action=pattern.action,
            )
            for pattern in personal_data.patterns
        ]
        or None,
    )


def _grounding(
    policy: GuardrailPolicy,
) -> bedrock.CfnGuardrail.ContextualGroundingPolicyConfigProperty | None:
    if policy.grounding is None:
        return None
    thresholds = {
        "GROUNDING": policy.grounding.grounding_threshold,
        "RELEVANCE": policy.grounding.relevance_threshold,
    }
    return bedrock.CfnGuardrail.ContextualGroundingPolicyConfigProperty(
        filters_config=[
            bedrock.CfnGuardrail.ContextualGroundingFilterConfigProperty(type=kind, threshold=threshold)
            for kind, threshold in thresholds.items()
        ]
    )
