"""The gateway's front door: an internal load balancer that lets only the gateway's own paths through."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.acknowledgements import Pack, acknowledge, in_packs
from stacks.constructs.gateway_container import PORT
from stacks.settings import Environment

FORWARDED_PATHS = ("/v1/*", "/health/*")
"""What callers may reach. Metrics are read from inside the network of tasks."""

LONGEST_SILENCE_S = 300
"""Time without a byte after which a connection is dropped; a model may think this long before it answers."""

ACCESS_LOG_DAYS = 90


class GatewayLoadBalancer(Construct):
    """Listens on 443 where the environment has a certificate, else on 80; forwards to `target_group`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection,
    ) -> None:
        super().__init__(scope, construct_id)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Load balancer of the AI gateway",
            allow_all_outbound=False,
        )
        self.load_balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=vpc,
            vpc_subnets=subnets,
            internet_facing=False,
            security_group=self.security_group,
            idle_timeout=cdk.Duration.seconds(max(LONGEST_SILENCE_S, environment.scaling.drain_time_s)),
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elbv2.DesyncMitigationMode.STRICTEST,
            deletion_protection=environment.deployment.stateful_protection,
        )
        if not environment.deployment.stateful_protection:
            acknowledge(
                self.load_balancer,
                *in_packs("ELBDeletionProtectionEnabled", Pack.NIST, Pack.HIPAA),
                reason="deployment.stateful_protection is false: this environment is there to be torn down.",
            )
        self.load_balancer.log_access_logs(_access_log_bucket(self))
        self.target_group = self.new_target_group(self, "TargetGroup", environment=environment, vpc=vpc)
        self.speaks_tls = environment.gateway.certificate_arn is not None
        port = 443 if self.speaks_tls else 80
        self.security_group.add_ingress_rule(
            ec2.Peer.ipv4(environment.network.cidr), ec2.Port.tcp(port), "Callers in the VPC"
        )
        self.listener = self.new_listener("Listener", environment=environment, port=port)
        if not environment.release.strategy.shifts_traffic:
            self.listener.add_action(
                "Gateway",
                priority=10,
                conditions=[elbv2.ListenerCondition.path_patterns(list(FORWARDED_PATHS))],
                action=elbv2.ListenerAction.forward([self.target_group]),
            )

    def new_target_group(
        self, scope: Construct, construct_id: str, *, environment: Environment, vpc: ec2.IVpc
    ) -> elbv2.ApplicationTargetGroup:
        """A place for tasks behind the load balancer, in `scope`; all such places treat tasks alike."""
        return elbv2.ApplicationTargetGroup(
            scope,
            construct_id,
            vpc=vpc,
            port=PORT,
            protocol=elbv2.ApplicationProtocol.HTTP,
            target_type=elbv2.TargetType.IP,
            deregistration_delay=cdk.Duration.seconds(environment.deregistration_delay_s),
            load_balancing_algorithm_type=elbv2.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=elbv2.HealthCheck(
                path="/health/ready",
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )

    def new_listener(
        self, construct_id: str, *, environment: Environment, port: int
    ) -> elbv2.ApplicationListener:
        """A listener that forwards nothing yet and that nobody may connect to yet."""
        certificate = environment.gateway.certificate_arn
        listener = self.load_balancer.add_listener(
            construct_id,
            port=port,
            protocol=elbv2.ApplicationProtocol.HTTPS if certificate else elbv2.ApplicationProtocol.HTTP,
            certificates=[elbv2.ListenerCertificate.from_arn(certificate)] if certificate else None,
            ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS if certificate else None,
            default_action=elbv2.ListenerAction.fixed_response(
                404, content_type="application/json", message_body=_NOT_FOUND
            ),
            open=False,
        )
        if not certificate:
            _accept_http(listener)
        return listener


def _accept_http(listener: elbv2.ApplicationListener) -> None:
    acknowledge(
        listener,
        *in_packs("ALBHttpToHttpsRedirection"),
        *in_packs("ELBv2ACMCertificateRequired"),
        reason="Without gateway.certificate_arn the listener speaks HTTP, in the VPC only; the setting turns "
        "it into HTTPS, and then there is none for HTTP.",
    )


_NOT_FOUND = json.dumps(
    {
        "error": {
            "message": "There is nothing at this path.",
            "type": "invalid_request_error",
            "param": None,
            "code": "not_found",
        }
    }
)


def _access_log_bucket(scope: Construct) -> s3.Bucket:
    """Outlives its stack, since a load balancer writes to it until the end; it empties by itself."""
    bucket = s3.Bucket(
        scope,
        "AccessLogs",
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                expiration=cdk.Duration.days(ACCESS_LOG_DAYS),
                noncurrent_version_expiration=cdk.Duration.days(ACCESS_LOG_DAYS),
            )
        ],
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    acknowledge(
        bucket,
        "AwsSolutions-S1",
        *in_packs("S3BucketLoggingEnabled"),
        reason="This is the bucket of the access logs; logging the access to logs would never end.",
    )
    acknowledge(
        bucket,
        "House::own-key",
        *in_packs("S3DefaultEncryptionKMS"),
        reason="Load balancers can write to no other encryption than S3's own.",
    )
    acknowledge(
        bucket,
        *in_packs("S3BucketReplicationEnabled"),
        reason="A copy would keep the addresses of callers twice, and nobody restores an access log.",
    )
    return bucket
