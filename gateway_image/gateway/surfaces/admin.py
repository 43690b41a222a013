"""The administrators' surfaces, wired to the stores they change."""

from __future__ import annotations

from gateway.control.audit import AuditTable
from gateway.control.aws import AwsClients
from gateway.control.flag_writer import FlagWriter
from gateway.control.plane import ControlPlane
from gateway.control.registry_changes import RegistryChanges
from gateway.control.registry_table import RegistryTable
from gateway.control.route_set_activation import RouteSetInForce
from gateway.control.route_set_library import RouteSetLibrary
from gateway.settings import Settings
from gateway.surfaces.admin_audit import AdminAuditSurface
from gateway.surfaces.admin_flags import AdminFlagsSurface
from gateway.surfaces.admin_models import AdminModelsSurface
from gateway.surfaces.admin_route_sets import AdminRouteSetsSurface
from gateway.surfaces.messages import Routes
from gateway.telemetry.observed import ObservedModels


def admin_routes(
    settings: Settings, clients: AwsClients, control: ControlPlane, observed: ObservedModels
) -> Routes:
    """Everything below `/v1/admin` that changes something, and what is to be looked at before."""
    audit = AuditTable(clients.dynamodb, settings.audit_table)
    table = RegistryTable(clients.dynamodb, settings.model_registry_table)
    in_force = RouteSetInForce(
        clients.ssm,
        settings.route_set_parameter,
        audit,
        registry=lambda: table.load(None).value,
        eu_only=settings.eu_only,
    )
    models = AdminModelsSurface(
        table,
        RegistryChanges(clients.dynamodb, settings.model_registry_table, audit),
        in_force=in_force.route_set,
        snapshot=control.registry,
        observed=observed,
    )
    library = RouteSetLibrary(clients.ssm, settings.route_set_library, audit)
    writer = FlagWriter(
        clients.flag_parameters,
        clients.flag_table,
        AuditTable(clients.flag_table, settings.audit_table),  # which a kill waits for no longer than it must
        path=settings.flag_parameters,
        table=settings.flag_table,
    )
    return {
        **models.routes(),
        **AdminRouteSetsSurface(library, in_force, control.route_set).routes(),
        **AdminFlagsSurface(writer, control.flags).routes(),
        **AdminAuditSurface(audit).routes(),
    }
