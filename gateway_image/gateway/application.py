"""Puts the parts together. Nothing is decided here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import boto3
from botocore.credentials import ReadOnlyCredentials

from gateway.control.assumed_role import AssumedRole
from gateway.control.aws import AwsClients, BedrockCredentials, connect
from gateway.control.database_connection import RDS_ROOTS, DatabasePlace
from gateway.control.database_token import database_token
from gateway.control.flag_control import FlagControl
from gateway.control.flag_database import FlagDatabase
from gateway.control.flag_evidence import EvidenceWriter
from gateway.control.flag_tiers import FlagTier, ParameterTier, TableTier
from gateway.control.plane import ControlPlane, Credential
from gateway.control.registry import Provider
from gateway.control.registry_table import RegistryTable
from gateway.control.route_sets import RouteSetParameter
from gateway.control.secret_scope import Scope, within
from gateway.control.secrets import (
    NO_CREDENTIAL,
    ProviderSecret,
    Secret,
    api_key_obstacle,
    parse_key_ring,
    parse_provider_secret,
    usable_api_key,
)
from gateway.control.snapshot import Refreshed, Snapshot
from gateway.control.take_up import TakeUp
from gateway.pipeline import Pipeline
from gateway.providers.adapter import Adapter, HttpRequest, HttpResponse
from gateway.providers.bedrock import BearerToken, BedrockAdapter
from gateway.providers.google import GoogleAdapter
from gateway.providers.google_access import GoogleAccess
from gateway.providers.llama import LlamaAdapter
from gateway.providers.transport import Transport
from gateway.resilience.circuits import Circuits
from gateway.safety.residency import EgressGuard, host_of
from gateway.settings import FlagDatabaseSettings, LlamaSettings, Settings
from gateway.surfaces.admin import admin_routes
from gateway.surfaces.http import HttpApplication
from gateway.surfaces.openai import OpenAiSurface
from gateway.surfaces.operations import OperationsSurface
from gateway.surfaces.routing import RoutingSurface
from gateway.telemetry.in_flight import InFlightMetric
from gateway.telemetry.metrics import Metrics

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
        self.circuits = Circuits()
        self.draining = False
        self._transport = Transport(_egress_guard(settings))
        self._google = _google_access(settings, clients, self._send_for_token)
        registry = RegistryTable(clients.dynamodb, settings.model_registry_table)
        adapters, credentials = self._providers(settings, session, clients)
        flags = FlagControl(_flag_tiers(settings, session, clients))
        self.control = _control_plane(settings, clients, registry, flags, credentials)
        self.metrics.watch(self.control.snapshots())
        self.metrics.watch_flags(flags.readers)
        self.metrics.watch_circuits(self.circuits)
        self._evidence = EvidenceWriter(flags.evidence, clients.dynamodb, settings.flag_table)
        pipeline = Pipeline(
            control=self.control,
            adapters=adapters,
            sender=self._transport,
            metrics=self.metrics,
            eu_only=settings.eu_only,
            circuits=self.circuits,
        )
        routes = {
            **OpenAiSurface(pipeline, self.control).routes(),
            **RoutingSurface(pipeline, self.control, self.metrics, self.circuits).routes(),
            **admin_routes(settings, clients, self.control, self.metrics.observed),
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
        self._evidence.start()
        self._background.append(asyncio.ensure_future(self._in_flight.run()))
        if self._google is not None:
            self._background.append(asyncio.ensure_future(self._google.run()))

    async def stop(self) -> None:
        """End everything that runs in the background, and close the connections to providers."""
        self.control.stop()
        await asyncio.to_thread(self._evidence.stop)
        for each in self._background:
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
        await self._transport.close()

    def _providers(
        self, settings: Settings, session: boto3.Session, clients: AwsClients
    ) -> tuple[Mapping[Provider, Adapter], Mapping[Provider, Credential]]:
        adapters: dict[Provider, Adapter] = {}
        credentials: dict[Provider, Credential] = {}
        adapters[Provider.BEDROCK], credentials[Provider.BEDROCK] = _bedrock(settings, session, clients)
        if settings.google is not None and self._google is not None:
            google, access = settings.google, self._google
            adapters[Provider.GOOGLE] = GoogleAdapter(
                google.base_url, google.project, google.location, access.token
            )
            credentials[Provider.GOOGLE] = Credential(
                access.secret,
                lambda: access.tried,
                lambda: NO_CREDENTIAL if access.token() is None else None,
                TakeUp(access.token, access.take_up),
            )
        if settings.llama is not None:
            adapters[Provider.LLAMA], credentials[Provider.LLAMA] = _llama(settings, settings.llama, clients)
        return adapters, credentials

    async def _send_for_token(self, request: HttpRequest) -> HttpResponse:
        return await self._transport.send(request, TOKEN_TIMEOUT_S)


def _control_plane(
    settings: Settings,
    clients: AwsClients,
    registry: RegistryTable,
    flags: FlagControl,
    credentials: Mapping[Provider, Credential],
) -> ControlPlane:
    registered = Snapshot("registry", registry.load, interval_s=REGISTRY_INTERVAL_S)
    route_set = RouteSetParameter(clients.ssm, settings.route_set_parameter, lambda: registered.value)
    parse_keys = within(_scope(settings, "gateway"), parse_key_ring)
    client_keys = Secret(clients.secrets, settings.client_keys_secret, parse_keys)
    admin_keys = Secret(clients.secrets, settings.admin_keys_secret, parse_keys)
    return ControlPlane(
        registry=registered,
        route_set=Snapshot("route_set", route_set.load, interval_s=REGISTRY_INTERVAL_S),
        flags=flags,
        client_keys=Snapshot("client_keys", client_keys.load, interval_s=SECRETS_INTERVAL_S),
        admin_keys=Snapshot("admin_keys", admin_keys.load, interval_s=SECRETS_INTERVAL_S),
        credentials=credentials,
    )


def _bedrock(settings: Settings, session: boto3.Session, clients: AwsClients) -> tuple[Adapter, Credential]:
    def adapter(credentials: Callable[[], BearerToken | ReadOnlyCredentials | None]) -> Adapter:
        return BedrockAdapter(settings.aws_region, settings.bedrock_base_url, credentials)

    if settings.bedrock_role is None:
        own = Snapshot(
            "bedrock_credentials", BedrockCredentials(session).load, interval_s=CREDENTIALS_INTERVAL_S
        )
        return adapter(lambda: own.value), Credential(
            own,
            lambda: own.attempts > 0,
            lambda: NO_CREDENTIAL if own.value is None else None,
            TakeUp(lambda: own.value, _reading_again(own), read_every_s=0.0),  # botocore has it at hand
        )
    role = AssumedRole(
        clients.sts, settings.bedrock_role.arn, settings.bedrock_role.external_id, settings.environment
    )
    held = Snapshot("bedrock_credentials", role.load, interval_s=CREDENTIALS_INTERVAL_S)
    return adapter(lambda: role.in_force(held.value)), Credential(
        held,
        lambda: held.attempts > 0,
        lambda: role.obstacle(held.value),
        TakeUp(lambda: role.in_force(held.value), _reading_again(held, role.refuse)),
    )


def _google_access(
    settings: Settings, clients: AwsClients, send: Callable[[HttpRequest], Awaitable[HttpResponse]]
) -> GoogleAccess | None:
    if settings.google is None:
        return None
    secret = _provider_secret(settings, Provider.GOOGLE, settings.google.secret, clients)
    return GoogleAccess(secret, send)


def _llama(settings: Settings, llama: LlamaSettings, clients: AwsClients) -> tuple[Adapter, Credential]:
    secret = _provider_secret(settings, Provider.LLAMA, llama.secret, clients)

    def key() -> str | None:
        return usable_api_key(secret.value)

    credential = Credential(
        secret,
        lambda: secret.attempts > 0,
        lambda: api_key_obstacle(secret.value),
        TakeUp(key, _reading_again(secret)),
    )
    return LlamaAdapter(llama.base_url, key), credential


def _provider_secret(
    settings: Settings, provider: Provider, arn: str, clients: AwsClients
) -> Snapshot[ProviderSecret]:
    secret = Secret(clients.secrets, arn, within(_scope(settings, provider), parse_provider_secret))
    return Snapshot(f"{provider}_secret", secret.load, interval_s=SECRETS_INTERVAL_S)


def _scope(settings: Settings, provider: str) -> Scope:
    return Scope(environment=settings.environment, region=settings.aws_region, provider=provider)


def _reading_again(
    snapshot: Refreshed, refuse: Callable[[object], None] = lambda _refused: None
) -> Callable[[object], Awaitable[None]]:
    async def read(refused: object) -> None:
        refuse(refused)
        await asyncio.to_thread(snapshot.refresh)

    return read


def _flag_tiers(settings: Settings, session: boto3.Session, clients: AwsClients) -> tuple[FlagTier, ...]:
    """The tiers of flags in their order."""
    tiers: list[FlagTier] = [
        ParameterTier(clients.flag_parameters, settings.flag_parameters),
        TableTier(clients.flag_table, settings.flag_table),
    ]
    if settings.flag_database is not None:
        tiers.append(_flag_database(settings.flag_database, settings.aws_region, session))
    return tuple(tiers)


def _flag_database(database: FlagDatabaseSettings, region: str, session: boto3.Session) -> FlagDatabase:
    def token() -> str:
        credentials = session.get_credentials()
        if credentials is None:
            raise LookupError(NO_CREDENTIAL)
        return database_token(
            credentials.get_frozen_credentials(),
            host=database.host,
            port=database.port,
            user=database.user,
            region=region,
        )

    roots = Path(database.roots) if database.roots else RDS_ROOTS
    place = DatabasePlace(database.host, database.port, database.name, database.user, roots)
    return FlagDatabase(place, token)


def _egress_guard(settings: Settings) -> EgressGuard:
    return EgressGuard(settings.provider_hosts | {host_of(settings.bedrock_base_url)})
