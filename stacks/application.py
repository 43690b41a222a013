"""Everything one environment consists of, in deploy order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from constructs import IConstruct

from stacks.accepted_by_design import accept_inline_policies
from stacks.cache import CacheStack
from stacks.constructs.python_function import PROJECT
from stacks.declared_flags import load_flags
from stacks.declared_models import DeclaredModel
from stacks.environment_stack import tags_of
from stacks.feature_flags import FeatureFlagsStack
from stacks.gateway import GatewayStack
from stacks.guardrails import GuardrailsStack
from stacks.model_registry import ModelRegistryStack
from stacks.monitoring import KILL_SWITCH, MonitoringStack, Watched
from stacks.network import NetworkStack
from stacks.route_set import RouteSet
from stacks.secrets import SecretsStack
from stacks.settings import Environment


@dataclass(frozen=True, kw_only=True)
class Application:
    """The stacks of one environment."""

    network: NetworkStack
    secrets: SecretsStack
    model_registry: ModelRegistryStack
    feature_flags: FeatureFlagsStack
    guardrails: GuardrailsStack
    cache: CacheStack
    gateway: GatewayStack
    monitoring: MonitoringStack


def repeatable_app(
    *, context: Mapping[str, object] | None = None, outdir: str | None = None, validated: bool = True
) -> cdk.App:
    """An app whose output depends on nothing but its sources.

    Left out is what the CDK would add of the run: the version of Python, temporary directories, times taken.
    `validated` turns the CDK's built-in validation on.
    """
    return cdk.App(
        context={"aws:cdk:disable-creation-stack-traces": True, **(context or {})},
        outdir=outdir,
        analytics_reporting=False,
        stack_traces=False,
        performance_reporting=False,
        builtin_cloud_formation_validation=None if validated else False,
    )


def build(
    app: cdk.App,
    *,
    environment: Environment,
    models: Sequence[DeclaredModel],
    route_set: RouteSet,
) -> Application:
    """Add the stacks of `environment` to `app`, tagged, in the order in which they are deployed."""
    for name, value in tags_of(environment).items():
        cdk.Tags.of(app).add(name, value)
    network = NetworkStack(app, "Network", environment=environment)
    secrets = SecretsStack(
        app,
        "Secrets",
        environment=environment,
        vpc=network.vpc,
        subnets=network.gateway_subnets,
        endpoint_security_group=network.endpoints.security_group,
    )
    model_registry = ModelRegistryStack(
        app,
        "ModelRegistry",
        environment=environment,
        models=models,
        route_set=route_set,
        table_key=secrets.table_key,
        log_key=secrets.log_key,
    )
    feature_flags = FeatureFlagsStack(
        app,
        "FeatureFlags",
        environment=environment,
        flags=load_flags(PROJECT),
        audit_table=model_registry.audit_table,
        table_key=secrets.table_key,
        log_key=secrets.log_key,
        vpc=network.vpc,
        function_subnets=network.gateway_subnets,
        isolated_subnets=network.isolated_subnets,
        endpoint_security_group=network.endpoints.security_group,
    )
    guardrails = GuardrailsStack(app, "Guardrails", environment=environment)
    cache = CacheStack(
        app,
        "Cache",
        environment=environment,
        vpc=network.vpc,
        isolated_subnets=network.isolated_subnets,
    )
    gateway = GatewayStack(
        app,
        "Gateway",
        environment=environment,
        vpc=network.vpc,
        subnets=network.gateway_subnets,
        endpoint_security_group=network.endpoints.security_group,
        cache_security_group=cache.valkey.security_group,
        models=models,
        registry_table=model_registry.table,
        route_set_parameter_name=model_registry.route_set_parameter_name,
        route_set_library_path=model_registry.route_set_library_path,
        audit_table=model_registry.audit_table,
        flag_parameter_path=feature_flags.parameter_path,
        flag_table=feature_flags.table,
        flag_database=feature_flags.database,
        client_keys=secrets.client_keys,
        admin_keys=secrets.admin_keys,
        google=secrets.google,
        llama=secrets.llama,
        secrets_key=secrets.secrets_key,
        rotation_role=secrets.rotation.role,
        table_key=secrets.table_key,
        log_key=secrets.log_key,
    )
    # It reads the flags by name from its first second, which no reference shows.
    gateway.add_stack_dependency(feature_flags)
    monitoring = MonitoringStack(
        app,
        "Monitoring",
        environment=environment,
        watched=Watched(
            service=gateway.service,
            load_balancer=gateway.load_balancer,
            target_groups=gateway.target_groups,
            registry_table=model_registry.table,
            functions={
                "RegistryGuard": model_registry.guard.function,
                "RouteSet": model_registry.route_set.function,
                "Flags": feature_flags.flags.function,
                "FlagUpdate": feature_flags.update.function,
                KILL_SWITCH: feature_flags.kill_switch.function,
                "SecretRotation": secrets.rotation.function,
            },
            rotated_secrets=[one.name for one in secrets.rotated],
        ),
        kill_switch_topic=feature_flags.kill_switch.topic,
    )
    application = Application(
        network=network,
        secrets=secrets,
        model_registry=model_registry,
        feature_flags=feature_flags,
        guardrails=guardrails,
        cache=cache,
        gateway=gateway,
        monitoring=monitoring,
    )
    accept_inline_policies(app)
    for producer in locked_while_in_use(application):
        cdk.CrossStackReferences.of(producer).produce(cdk.ReferenceStrength.STRONG)
    return application


def locked_while_in_use(application: Application) -> Sequence[IConstruct]:
    """What CloudFormation must refuse to replace or delete while another stack uses it.

    References to everything else are weak, so that no stack locks another one.
    """
    secrets = application.secrets
    return (
        application.network.vpc,
        secrets.secrets_key,
        secrets.table_key,
        secrets.log_key,
        secrets.client_keys,
        secrets.admin_keys,
        secrets.google,
        secrets.llama,
        application.model_registry.table,
        application.model_registry.audit_table,
        application.feature_flags.table,
    )
