"""The gateway's container: its image, what it is told, and what it may not do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.constructs.gateway_permissions import GatewayExecutionRole
from stacks.settings import Architecture, Environment

IMAGE_DIRECTORY = Path(__file__).parents[2] / "gateway_image"
CONTAINER = "gateway"
PORT = 8080
NOBODY = "65532:65532"
"""User and group of the image; they own nothing in it."""


class GatewayContainer(Construct):
    """A Fargate task definition with one container: no root, no writable file system, no secret in sight."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        variables: Mapping[str, str],
        task_role: iam.IRole,
        log_group: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        image = ecr_assets.DockerImageAsset(
            self, "Image", directory=str(IMAGE_DIRECTORY), platform=_image_platform(environment)
        )
        execution_role = GatewayExecutionRole(
            self, "ExecutionRole", repository=image.repository, log_group=log_group
        )
        self.task_definition = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=environment.scaling.task_cpu_units,
            memory_limit_mib=environment.scaling.task_memory_mib,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=_cpu_architecture(environment),
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            task_role=task_role,
            execution_role=execution_role.without_policy_updates(),
        )
        # Nothing else tells CloudFormation that a task cannot start before its permissions are there.
        self.task_definition.node.add_dependency(execution_role)
        self.task_definition.add_container(
            CONTAINER,
            image=ecs.ContainerImage.from_docker_image_asset(image),
            environment=dict(variables),
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            logging=ecs.LogDriver.aws_logs(
                stream_prefix=CONTAINER, log_group=log_group, mode=ecs.AwsLogDriverMode.NON_BLOCKING
            ),
            health_check=ecs.HealthCheck(
                command=["CMD", "python", "-m", "gateway", "health"],
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                retries=3,
                start_period=cdk.Duration.seconds(30),
            ),
            stop_timeout=cdk.Duration.seconds(environment.stop_timeout_s),
            readonly_root_filesystem=True,
            user=NOBODY,
            privileged=False,
        )
        acknowledge(
            self.task_definition,
            "AwsSolutions-ECS2",
            reason="The variables hold names, addresses and limits. Secrets are named by ARN only.",
        )


def _cpu_architecture(environment: Environment) -> ecs.CpuArchitecture:
    if environment.gateway.architecture is Architecture.ARM64:
        return ecs.CpuArchitecture.ARM64
    return ecs.CpuArchitecture.X86_64


def _image_platform(environment: Environment) -> ecr_assets.Platform:
    if environment.gateway.architecture is Architecture.ARM64:
        return ecr_assets.Platform.LINUX_ARM64
    return ecr_assets.Platform.LINUX_AMD64
