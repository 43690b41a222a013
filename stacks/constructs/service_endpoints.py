"""Private ways to AWS services: who may use them, for which account, and from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

INTERFACE_SERVICES: Mapping[str, ec2.InterfaceVpcEndpointAwsService] = {
    "BedrockRuntime": ec2.InterfaceVpcEndpointAwsService.BEDROCK_RUNTIME,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Monitoring": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Ssm": ec2.InterfaceVpcEndpointAwsService.SSM,
    "Sts": ec2.InterfaceVpcEndpointAwsService.STS,
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Kms": ec2.InterfaceVpcEndpointAwsService.KMS,
    "AppConfigData": ec2.InterfaceVpcEndpointAwsService("appconfigdata"),
    "Firehose": ec2.InterfaceVpcEndpointAwsService.KINESIS_FIREHOSE,
}
"""AWS services the gateway calls over an address of its own network."""

HTTPS_PORT = 443


class ServiceEndpoints(Construct):
    """Interface endpoints in `subnets`, reachable from `clients` on 443; gateways to S3 and DynamoDB.

    Each endpoint serves principals of this account only, so that credentials of another account, brought
    along by whatever runs in the network, carry nothing out.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.Vpc,
        subnets: Sequence[ec2.ISubnet],
        clients: Sequence[ec2.ISubnet],
    ) -> None:
        super().__init__(scope, construct_id)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Interface endpoints: HTTPS from the gateway subnets, nothing out",
            allow_all_outbound=False,
        )
        for client in clients:
            self.security_group.add_ingress_rule(
                ec2.Peer.ipv4(client.ipv4_cidr_block), ec2.Port.tcp(HTTPS_PORT), "HTTPS from a gateway subnet"
            )
        for name, service in INTERFACE_SERVICES.items():
            endpoint = ec2.InterfaceVpcEndpoint(
                self,
                name,
                vpc=vpc,
                service=service,
                subnets=ec2.SubnetSelection(subnets=list(subnets)),
                security_groups=[self.security_group],
                open=False,
                private_dns_enabled=True,
            )
            endpoint.add_to_policy(_own_principals(self))
        self._add_gateways(vpc, clients)

    def _add_gateways(self, vpc: ec2.Vpc, clients: Sequence[ec2.ISubnet]) -> None:
        from_clients = [ec2.SubnetSelection(subnets=list(clients))]
        tables = ec2.GatewayVpcEndpoint(
            self,
            "DynamoDb",
            vpc=vpc,
            service=ec2.GatewayVpcEndpointAwsService.DYNAMODB,
            subnets=from_clients,
        )
        tables.add_to_policy(_own_principals(self, own_resources_only=True))
        objects = ec2.GatewayVpcEndpoint(
            self, "S3", vpc=vpc, service=ec2.GatewayVpcEndpointAwsService.S3, subnets=from_clients
        )
        objects.add_to_policy(_own_principals(self, own_resources_only=True))
        objects.add_to_policy(_image_layers(self))


def _own_principals(scope: Construct, *, own_resources_only: bool = False) -> iam.PolicyStatement:
    """Everything the caller's role allows, for callers of this account.

    Resources are not narrowed for services whose resources AWS owns, such as foundation models.
    """
    account = cdk.Stack.of(scope).account
    equals = {"aws:PrincipalAccount": account}
    if own_resources_only:
        equals["aws:ResourceAccount"] = account
    return iam.PolicyStatement(
        sid="OwnPrincipals",
        principals=[iam.AnyPrincipal()],
        actions=["*"],
        resources=["*"],
        conditions={"StringEquals": equals},
    )


def _image_layers(scope: Construct) -> iam.PolicyStatement:
    """Image layers lie in a bucket of ECR's, fetched by signed addresses.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms
    """
    return iam.PolicyStatement(
        sid="ImageLayers",
        principals=[iam.AnyPrincipal()],
        actions=["s3:GetObject"],
        resources=[f"arn:aws:s3:::prod-{cdk.Stack.of(scope).region}-starport-layer-bucket/*"],
    )
