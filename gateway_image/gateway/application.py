"""Puts the parts together. Nothing is decided here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import boto3

from gateway.control.aws import AwsClients, BedrockCredentials, connect
from gateway.control.flags import FlagParameters
from gateway.control.plane import ControlPlane, Credential
from gateway.control.registry import Provider, RegistryTable
from gateway.control.route_sets import RouteSetParameter
from gateway.control.secrets import (
    NO_CREDENTIAL,
    ProviderSecret,
    Secret,
    api_key_obstacle,
    parse_key_ring,
    parse_provider_secret,
    usable_api_key,
)
from gateway.control.snapshot import Snapshot
from gateway.pipeline import Pipeline
from gateway.providers.adapter import Adapter, HttpRequest, HttpResponse
from gateway.providers.bedrock import BedrockAdapter
from gateway.providers.google import GoogleAdapter
from gateway.providers.google_access import GoogleAccess
from gateway.providers.llama import LlamaAdapter
from gateway.providers.transport import Transport
from gateway.safety.residency import EgressGuard, host_of
from gateway.settings import GoogleSettings, LlamaSettings, Settings
from gateway.surfaces.admin import AdminSurface
from gateway.surfaces.http import HttpApplication
from gateway.surfaces.openai import OpenAiSurface
from gateway.surfaces.operations import OperationsSurface
from gateway.surfaces.routing import RoutingSurface
from gateway.telemetry.in_flight import InFlightMetric
from gateway.telemetry.metrics import Metrics

FLAGS_INTERVAL_S = 2.0
"""A kill switch must be in force everywhere within five seconds, whatever becomes of its event."""

REGISTRY_INTERVAL_S = 5.0
SECRETS_INTERVAL_S = 15.0
CREDENTIALS_INTERVAL_S = 30.0
"""botocore renews a role's credentials from fifteen minutes before their end."""

TOKEN_TIMEOUT_S = 10.0


class Application:
    """One gateway process: `http` is its ASGI application, `start` and `stop` its life."""

    def __init__(self, settings: Settings, *, session: boto3.Session | None = None) -> None:
        session = session or boto3.Session(region_name=settings.aws_region)
        clients = connect(session)
        self.metrics = Metrics()
        self.draining = False
        self._transport = Transport(_egress_guard(settings))
        self._google = _google_access(settings.google, clients, self._send_for_token)
        registry = RegistryTable(clients.dynamodb, settings.model_registry_table)
        adapters, credentials = self._providers(settings, session, clients)
        self.control = _control_plane(settings, clients, registry, credentials)
        self.metrics.watch(self.control.snapshots())
        pipeline = Pipeline(
            control=self.control,
            adapters=adapters,
            sender=self._transport,
            metrics=self.metrics,
            eu_only=settings.eu_only,
        )
        routes = {
            **OpenAiSurface(pipeline, self.control).routes(),
            **RoutingSurface(pipeline, self.control, self.metrics).routes(),
            **AdminSurface(registry, self.control.registry).routes(),
            **OperationsSurface(self.missing, self.metrics).routes(),
        }
        self.http = HttpApplication(
            routes, pipeline, self.metrics, maximum_body_bytes=settings.maximum_body_bytes
        )
        self._in_flight = InFlightMetric(lambda: self.http.in_flight, settings.environment)
        self._background: list[asyncio.Future[None]] = []

    def missing(self) -> tuple[str, ...]:
        """What readiness waits for; a draining gateway is never ready again."""
        return ("the end: it is draining",) if self.draining else self.control.missing()

    def start(self) -> None:
        """Begin to take up the control plane; returns at once, inside the event loop."""
        self.control.start()
        self._background.append(asyncio.ensure_future(self._in_flight.run()))
        if self._google is not None:
            self._background.append(asyncio.ensure_future(self._google.run()))

    async def stop(self) -> None:
        """End everything that runs in the background, and close the connections to providers."""
        self.control.stop()
        for each in self._background:
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
        await self._transport.close()

    def _providers(
        self, settings: Settings, session: boto3.Session, clients: AwsClients
    ) -> tuple[Mapping[Provider, Adapter], Mapping[Provider, Credential]]:
        bedrock = Snapshot(
            "bedrock_credentials", BedrockCredentials(session).load, interval_s=CREDENTIALS_INTERVAL_S
        )
        adapters: dict[Provider, Adapter] = {
            Provider.BEDROCK: BedrockAdapter(
                settings.aws_region, settings.bedrock_base_url, lambda: bedrock.value
            )
        }
        credentials = {
            Provider.BEDROCK: Credential(
                bedrock,
                lambda: bedrock.attempts > 0,
                lambda: NO_CREDENTIAL if bedrock.value is None else None,
            )
        }
        if settings.google is not None and self._google is not None:
            google, access = settings.google, self._google
            adapters[Provider.GOOGLE] = GoogleAdapter(
                google.base_url, google.project, google.location, access.token
            )
            credentials[Provider.GOOGLE] = Credential(
                access.secret, lambda: access.tried, lambda: NO_CREDENTIAL if access.token() is None else None
            )
        if settings.llama is not None:
            adapters[Provider.LLAMA], credentials[Provider.LLAMA] = _llama(settings.llama, clients)
        return adapters, credentials

    async def _send_for_token(self, request: HttpRequest) -> HttpResponse:
        return await self._transport.send(request, TOKEN_TIMEOUT_S)


def _control_plane(
    settings: Settings,
    clients: AwsClients,
    registry: RegistryTable,
    credentials: Mapping[Provider, Credential],
) -> ControlPlane:
    flags = FlagParameters(clients.ssm, settings.flag_parameters)
    registered = Snapshot("registry", registry.load, interval_s=REGISTRY_INTERVAL_S)
    route_set = RouteSetParameter(clients.ssm, settings.route_set_parameter, lambda: registered.value)
    client_keys = Secret(clients.secrets, settings.client_keys_secret, parse_key_ring)
    admin_keys = Secret(clients.secrets, settings.admin_keys_secret, parse_key_ring)
    return ControlPlane(
        registry=registered,
        route_set=Snapshot("route_set", route_set.load, interval_s=REGISTRY_INTERVAL_S),
        flags=Snapshot("flags", flags.load, interval_s=FLAGS_INTERVAL_S),
        client_keys=Snapshot("client_keys", client_keys.load, interval_s=SECRETS_INTERVAL_S),
        admin_keys=Snapshot("admin_keys", admin_keys.load, interval_s=SECRETS_INTERVAL_S),
        credentials=credentials,
    )


def _google_access(
    settings: GoogleSettings | None,
    clients: AwsClients,
    send: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> GoogleAccess | None:
    if settings is None:
        return None
    return GoogleAccess(_provider_secret("google_secret", settings.secret, clients), send)


def _llama(settings: LlamaSettings, clients: AwsClients) -> tuple[Adapter, Credential]:
    secret = _provider_secret("llama_secret", settings.secret, clients)

    credential = Credential(secret, lambda: secret.attempts > 0, lambda: api_key_obstacle(secret.value))
    return LlamaAdapter(settings.base_url, lambda: usable_api_key(secret.value)), credential


def _provider_secret(name: str, arn: str, clients: AwsClients) -> Snapshot[ProviderSecret]:
    secret = Secret(clients.secrets, arn, parse_provider_secret)
    return Snapshot(name, secret.load, interval_s=SECRETS_INTERVAL_S)


def _egress_guard(settings: Settings) -> EgressGuard:
    return EgressGuard(settings.provider_hosts | {host_of(settings.bedrock_base_url)})
