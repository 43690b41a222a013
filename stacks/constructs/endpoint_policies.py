"""What may be done through each private way to an AWS service: the actions and resources that are used.

A role's own policy says what its holder may do. An endpoint's policy says what can be done from inside the
network by whoever holds whichever credentials: it takes the worth out of keys that somebody brings along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from stacks.constructs.bedrock_access import EU_DESTINATION_REGIONS, INVOKING


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an environment lives, and the names that its resources begin with.

    `bedrock_role_arn` is the role of another account that Bedrock is called with; None: the task's own.
    `answers_cloudformation`: a custom resource's function runs in the network, and must say how it ended.
    """

    account: str
    region: str
    environment: str
    stack_prefix: str
    bedrock_role_arn: str | None = None
    answers_cloudformation: bool = False

    def arn(self, service: str, resource: str) -> str:
        """ARN of a resource of the environment's own account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def interface_statements(place: Place) -> Mapping[str, Sequence[iam.PolicyStatement]]:
    """Statements by the name of the interface endpoint.

    A role that gets an action more needs it here as well, if its holder runs in the network; a test compares
    them.
    """
    images = _images(place)
    return {
        "BedrockRuntime": [_bedrock(place)],
        "Logs": [
            _own(
                place,
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[place.arn("logs", f"log-group:{place.stack_prefix}-*")],
            )
        ],
        "SecretsManager": [
            _own(
                place,
                actions=[
                    "secretsmanager:GetSecretValue",
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:TagResource",
                    "secretsmanager:UpdateSecretVersionStage",
                ],
                resources=[place.arn("secretsmanager", "secret:*")],
            )
        ],
        "Ssm": [
            _own(
                place,
                actions=[
                    "ssm:GetParameter",
                    "ssm:GetParameterHistory",
                    "ssm:GetParametersByPath",
                    "ssm:PutParameter",
                ],
                resources=[place.arn("ssm", f"parameter/ai-orchestration/{place.environment}/*")],
            )
        ],
        "EcrApi": images,
        "EcrDocker": images,
        **_prepared_statements(place),
    }


def _prepared_statements(place: Place) -> Mapping[str, Sequence[iam.PolicyStatement]]:
    """Ways that are open before a role takes them: experiments, capture, tracing, another account's Bedrock.

    Opening a way takes a deployment of the network, which changes rarely and with care; what runs in it
    changes often. Only what those parts will call passes.
    """
    roles = [f"arn:aws:iam::{place.account}:role/{place.stack_prefix}-*"]
    if place.bedrock_role_arn:
        roles.append(place.bedrock_role_arn)
    return {
        # Metrics know no resource.
        "Monitoring": [_own(place, actions=["cloudwatch:PutMetricData"], resources=["*"])],
        "Sts": [_own(place, actions=["sts:AssumeRole"], resources=roles)],
        "Kms": [
            _own(place, actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[place.arn("kms", "key/*")])
        ],
        "AppConfigData": [
            _own(
                place,
                actions=["appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"],
                resources=[place.arn("appconfig", "application/*")],
            )
        ],
        "Firehose": [
            _own(
                place,
                actions=["firehose:PutRecordBatch"],
                resources=[place.arn("firehose", f"deliverystream/{place.stack_prefix}-*")],
            )
        ],
    }


def table_statements(place: Place) -> Sequence[iam.PolicyStatement]:
    """For the gateway to DynamoDB."""
    return [
        _own(
            place,
            actions=["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[place.arn("dynamodb", "table/ai_model_registry")],
        ),
        _own(
            place,
            sid="TablesWithoutNames",
            actions=["dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            resources=[place.arn("dynamodb", f"table/{place.stack_prefix}-*")],
        ),
    ]


def object_statements(place: Place) -> Sequence[iam.PolicyStatement]:
    """For the gateway to S3: image layers, which lie in a bucket of ECR's, and answers to CloudFormation.

    Both by signed addresses:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms,
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/vpc-interface-endpoints.html
    """
    layers = iam.PolicyStatement(
        sid="ImageLayers",
        principals=[iam.AnyPrincipal()],
        actions=["s3:GetObject"],
        resources=[f"arn:aws:s3:::prod-{place.region}-starport-layer-bucket/*"],
    )
    answers = iam.PolicyStatement(
        sid="AnswersToCloudFormation",
        principals=[iam.AnyPrincipal()],
        actions=["s3:PutObject"],
        resources=[f"arn:aws:s3:::cloudformation-custom-resource-response-{place.region.replace('-', '')}/*"],
    )
    return [layers, answers] if place.answers_cloudformation else [layers]


def _images(place: Place) -> Sequence[iam.PolicyStatement]:
    return [
        # A token for the registry knows no resource.
        _own(place, actions=["ecr:GetAuthorizationToken"], resources=["*"]),
        _own(
            place,
            sid="OwnImages",
            actions=["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources=[place.arn("ecr", "repository/*")],
        ),
    ]


def _bedrock(place: Place) -> iam.PolicyStatement:
    """Whoever assumed a role of another account is one of its principals, and its profiles are there, too."""
    if place.bedrock_role_arn is None:
        profiles = place.arn("bedrock", "inference-profile/eu.*")
        return _own(place, actions=list(INVOKING), resources=[profiles, *_foundation_models(place)])
    account = place.bedrock_role_arn.split(":")[4]
    profiles = f"arn:aws:bedrock:{place.region}:{account}:inference-profile/eu.*"
    return iam.PolicyStatement(
        sid="AssumedRole",
        principals=[iam.AnyPrincipal()],
        actions=list(INVOKING),
        resources=[profiles, *_foundation_models(place)],
        conditions={"StringEquals": {"aws:PrincipalArn": place.bedrock_role_arn}},
    )


def _foundation_models(place: Place) -> list[str]:
    """Models belong to AWS, not to an account; outside the EU only those of the region itself."""
    in_the_eu = place.region in EU_DESTINATION_REGIONS
    return [
        f"arn:aws:bedrock:{region}::foundation-model/*"
        for region in (EU_DESTINATION_REGIONS if in_the_eu else (place.region,))
    ]


def _own(
    place: Place, *, actions: Sequence[str], resources: Sequence[str], sid: str = "OwnPrincipals"
) -> iam.PolicyStatement:
    """These actions on these resources, for principals of the environment's own account."""
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.AnyPrincipal()],
        actions=list(actions),
        resources=list(resources),
        conditions={"StringEquals": {"aws:PrincipalAccount": place.account}},
    )
