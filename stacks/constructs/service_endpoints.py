"""Private ways to AWS services, open to those who were let in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from stacks.constructs.endpoint_policies import (
    Place,
    interface_statements,
    object_statements,
    table_statements,
)

INTERFACE_SERVICES: Mapping[str, ec2.InterfaceVpcEndpointAwsService] = {
    "BedrockRuntime": ec2.InterfaceVpcEndpointAwsService.BEDROCK_RUNTIME,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Monitoring": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Ssm": ec2.InterfaceVpcEndpointAwsService.SSM,
    "Sts": ec2.InterfaceVpcEndpointAwsService.STS,
    "Kms": ec2.InterfaceVpcEndpointAwsService.KMS,
    "AppConfigData": ec2.InterfaceVpcEndpointAwsService.APPCONFIGDATA,
    "Firehose": ec2.InterfaceVpcEndpointAwsService.KINESIS_FIREHOSE,
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
}
"""AWS services called from the network; an endpoint costs as much in an hour whether it is used or not."""


class ServiceEndpoints(Construct):
    """Interface endpoints in `subnets`; gateways to S3 and DynamoDB for whatever runs in `clients`.

    Nobody reaches an interface endpoint but who was let in: `connections.allow_to(endpoints.security_group,
    …)` in the client's own stack names both ends and keeps the rules where the client is.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.Vpc,
        subnets: Sequence[ec2.ISubnet],
        clients: Sequence[ec2.ISubnet],
        place: Place,
    ) -> None:
        super().__init__(scope, construct_id)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Interface endpoints: HTTPS from those let in, nothing out",
            allow_all_outbound=False,
        )
        for name, statements in interface_statements(place).items():
            endpoint = ec2.InterfaceVpcEndpoint(
                self,
                name,
                vpc=vpc,
                service=INTERFACE_SERVICES[name],
                subnets=ec2.SubnetSelection(subnets=list(subnets)),
                security_groups=[self.security_group],
                open=False,
                private_dns_enabled=True,
            )
            for statement in statements:
                endpoint.add_to_policy(statement)
        from_clients = [ec2.SubnetSelection(subnets=list(clients))]
        for name, service, statements in (
            ("DynamoDb", ec2.GatewayVpcEndpointAwsService.DYNAMODB, table_statements(place)),
            ("S3", ec2.GatewayVpcEndpointAwsService.S3, object_statements(place)),
        ):
            gateway = ec2.GatewayVpcEndpoint(self, name, vpc=vpc, service=service, subnets=from_clients)
            for statement in statements:
                gateway.add_to_policy(statement)
