"""Gateway: the service that applications call, behind an internal load balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks.constructs.deployment_alarms import DeploymentAlarms
from stacks.constructs.encrypted_log_group import EncryptedLogGroup
from stacks.constructs.flag_database import READER, FlagDatabase
from stacks.constructs.gateway_container import PORT, GatewayContainer
from stacks.constructs.gateway_load_balancer import GatewayLoadBalancer
from stacks.constructs.gateway_permissions import GatewayTaskRole
from stacks.constructs.gateway_scaling import GatewayScaling
from stacks.constructs.gateway_service import GatewayService
from stacks.constructs.only_readers import only_read_by
from stacks.constructs.smoke_test import SmokeTest
from stacks.constructs.traffic_shift import TrafficShift
from stacks.constructs.valkey_cache import PORTS as CACHE_PORTS
from stacks.constructs.web_firewall import WebFirewall
from stacks.declared_models import DeclaredModel
from stacks.environment_stack import EnvironmentStack
from stacks.settings import Environment

HTTPS_PORT = 443


class GatewayStack(EnvironmentStack):
    """Owns the cluster, the service and its scaling, the load balancer and the gateway's log.

    `service`, `target_groups` and `load_balancer` are what monitoring watches.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        subnets: Sequence[ec2.ISubnet],
        endpoint_security_group: ec2.ISecurityGroup,
        cache_security_group: ec2.ISecurityGroup,
        models: Sequence[DeclaredModel],
        registry_table: dynamodb.TableV2,
        route_set_parameter_name: str,
        route_set_library_path: str,
        audit_table: dynamodb.ITableV2,
        flag_parameter_path: str,
        flag_table: dynamodb.TableV2,
        flag_database: FlagDatabase | None,
        client_keys: secretsmanager.Secret,
        admin_keys: secretsmanager.Secret,
        google: secretsmanager.Secret,
        llama: secretsmanager.Secret,
        secrets_key: kms.IKey,
        rotation_role: iam.IRole,
        table_key: kms.IKey,
        log_key: kms.IKey,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            description="The AI gateway's service, its scaling and its load balancer",
        )
        providers = environment.providers
        provider_secrets = {
            name: secret
            for name, secret, enabled in (
                ("GOOGLE_SECRET", google, providers.google.enabled),
                ("LLAMA_SECRET", llama, providers.llama.enabled),
            )
            if enabled
        }
        task_role = GatewayTaskRole(
            self,
            "TaskRole",
            registry_table=registry_table,
            audit_table=audit_table,
            flag_table=flag_table,
            table_key=table_key,
            route_set_parameter_name=route_set_parameter_name,
            route_set_library_path=route_set_library_path,
            flag_parameter_path=flag_parameter_path,
            secrets=[client_keys, admin_keys, *provider_secrets.values()],
            secrets_key=secrets_key,
            invocable=models if providers.bedrock.enabled else (),
            bedrock_role_arn=providers.bedrock.assumed_role_arn,
        )
        database_access = flag_database.access(READER) if flag_database else None
        if database_access:
            task_role.add_to_policy(database_access.statement)
        for secret in provider_secrets.values():
            only_read_by([task_role, rotation_role], secret)
        log_group = EncryptedLogGroup(
            self,
            "Logs",
            key=log_key,
            retention_days=environment.gateway.log_retention_days,
            removal_policy=self.removal_policy,
        )
        container = GatewayContainer(
            self,
            "Container",
            environment=environment,
            variables={
                **_settings(environment),
                "MODEL_REGISTRY_TABLE": registry_table.table_name,
                "ROUTE_SET_PARAMETER": route_set_parameter_name,
                "ROUTE_SET_LIBRARY": route_set_library_path,
                "AUDIT_TABLE": audit_table.table_name,
                "FLAG_PARAMETERS": flag_parameter_path,
                "FLAG_TABLE": flag_table.table_name,
                "CLIENT_KEYS_SECRET": client_keys.secret_arn,
                "ADMIN_KEYS_SECRET": admin_keys.secret_arn,
                **{name: secret.secret_arn for name, secret in provider_secrets.items()},
                **(database_access.variables if database_access else {}),
            },
            task_role=task_role,
            log_group=log_group,
        )
        placement = ec2.SubnetSelection(subnets=list(subnets))
        front_door = GatewayLoadBalancer(
            self, "FrontDoor", environment=environment, vpc=vpc, subnets=placement
        )
        self.load_balancer = front_door.load_balancer
        WebFirewall(
            self,
            "WebFirewall",
            environment=environment,
            load_balancer=self.load_balancer,
            log_key=log_key,
            removal_policy=self.removal_policy,
        )
        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=vpc, container_insights_v2=ecs.ContainerInsights.ENHANCED
        )
        insights = EncryptedLogGroup(
            self,
            "InsightsLogs",
            # ECS would create it on its own, without a key and for ever.
            log_group_name=f"/aws/ecs/containerinsights/{self.cluster.cluster_name}/performance",
            key=log_key,
            retention_days=environment.gateway.log_retention_days,
            removal_policy=self.removal_policy,
        )
        shift = (
            TrafficShift(self, "TrafficShift", environment=environment, front_door=front_door, vpc=vpc)
            if environment.release.strategy.shifts_traffic
            else None
        )
        self.target_groups = [front_door.target_group, *([shift.alternate] if shift else [])]
        alarms = DeploymentAlarms(
            self,
            "DeploymentAlarms",
            environment=environment,
            load_balancer=self.load_balancer,
            target_groups=self.target_groups,
        )
        task_security_group = self._task_security_group(
            front_door, endpoints=endpoint_security_group, cache=cache_security_group
        )
        if flag_database:
            flag_database.let_in(task_security_group, "Tasks to the flag database")
        self.service = GatewayService(
            self,
            "Service",
            release=environment.release,
            cluster=self.cluster,
            task_definition=container.task_definition,
            subnets=placement,
            security_group=task_security_group,
            deployment_alarms=alarms.names,
        )
        self.service.node.add_dependency(insights, task_security_group)
        if shift is None:
            self.service.attach_to_application_target_group(front_door.target_group)
        else:
            shift.attach(self.service)
            smoke_test = SmokeTest(
                self,
                "SmokeTest",
                vpc=vpc,
                subnets=subnets,
                front_door=front_door,
                endpoints=endpoint_security_group,
                test_url=shift.test_url,
                client_keys=client_keys,
                secrets_key=secrets_key,
                log=self.function_log(log_key),
            )
            smoke_test.guard(self.service)
        GatewayScaling(
            self,
            "Scaling",
            environment=environment,
            service=self.service,
            target_groups=self.target_groups,
        )
        cdk.CfnOutput(self, "ClusterName", value=self.cluster.cluster_name)
        cdk.CfnOutput(self, "ServiceName", value=self.service.service_name)
        cdk.CfnOutput(self, "LoadBalancerDnsName", value=self.load_balancer.load_balancer_dns_name)

    def _task_security_group(
        self, front_door: GatewayLoadBalancer, *, endpoints: ec2.ISecurityGroup, cache: ec2.ISecurityGroup
    ) -> ec2.SecurityGroup:
        """Lets the load balancer call tasks, and tasks call endpoints, the cache and, past the firewall, out.

        The way out serves tables and image layers, too: their gateways have no security group to name.
        """
        security_group = ec2.SecurityGroup(
            self,
            "TaskSecurityGroup",
            vpc=self.cluster.vpc,
            description="Tasks of the AI gateway",
            allow_all_outbound=False,
        )
        security_group.add_egress_rule(
            ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "Model providers, tables and image layers"
        )
        connections = security_group.connections
        connections.allow_to(endpoints, ec2.Port.tcp(HTTPS_PORT), "Tasks to endpoints of AWS services")
        connections.allow_to(cache, ec2.Port.tcp_range(*CACHE_PORTS), "Tasks to the cache")
        front_door.security_group.connections.allow_to(
            security_group, ec2.Port.tcp(PORT), "Load balancer to tasks"
        )
        return security_group


def _settings(environment: Environment) -> Mapping[str, str]:
    """The part of the container's environment that follows from the settings alone."""
    providers = environment.providers
    bedrock, google, llama = providers.bedrock, providers.google, providers.llama
    variables = {
        "ENVIRONMENT": environment.name,
        "AWS_REGION": environment.deployment.region,
        "PORT": str(PORT),
        "LOG_LEVEL": environment.gateway.log_level,
        "EU_ONLY": "true" if environment.deployment.eu_only else "false",
        "PROVIDER_HOSTS": ",".join(environment.provider_hosts),
        "MAXIMUM_BODY_BYTES": str(environment.gateway.maximum_body_bytes),
        "DRAIN_TIME_S": str(environment.scaling.drain_time_s),
    }
    if bedrock.assumed_role_arn:
        variables["BEDROCK_ROLE_ARN"] = bedrock.assumed_role_arn
        if bedrock.external_id:
            variables["BEDROCK_ROLE_EXTERNAL_ID"] = bedrock.external_id
    if google.enabled:
        variables |= {
            "GOOGLE_BASE_URL": google.base_url,
            "GOOGLE_PROJECT": google.project,
            "GOOGLE_LOCATION": google.location,
        }
    if llama.enabled and llama.base_url:
        variables["LLAMA_BASE_URL"] = llama.base_url
    return variables
