"""The gateway's own rules at work on an account: nothing here decides what is allowed."""

from __future__ import annotations

from gateway.control.audit import AuditTable, Author, How
from gateway.control.flag_writer import FlagWriter
from gateway.control.registry import RegistryView
from gateway.control.registry_changes import RegistryChanges
from gateway.control.registry_table import RegistryTable
from gateway.control.route_set_activation import RouteSetInForce
from gateway.control.route_set_library import RouteSetLibrary
from gateway.control.snapshot import Loaded
from operations.environment import Account
from operations.errors import OperationError

REGISTRY, FLAGS = "model-registry", "feature-flags"


def operator(account: Account, why: str) -> Author:
    """Whoever calls the command, and the reason given.

    Raises:
        OperationError: there is none, or it is too long.
    """
    try:
        return Author(account.who, How.COMMAND, why)
    except ValueError as error:
        raise OperationError(str(error), remedy="say it with WHY=…") from None


def audit_table(account: Account) -> AuditTable:
    """The audit records."""
    return AuditTable(account.dynamodb, account.output(REGISTRY, "AuditTableName"))


def registry_table(account: Account) -> RegistryTable:
    """The registry, for reading."""
    return RegistryTable(account.dynamodb, account.output(REGISTRY, "RegistryTableName"))


def registered(account: Account) -> Loaded[RegistryView]:
    """Every registered version that can be read, and what is wrong with the others."""
    return registry_table(account).load(None)


def registry_changes(account: Account) -> RegistryChanges:
    """The registry, for changing."""
    table = account.output(REGISTRY, "RegistryTableName")
    return RegistryChanges(account.dynamodb, table, audit_table(account))


def route_set_in_force(account: Account) -> RouteSetInForce:
    """The parameter with the route set in force."""
    return RouteSetInForce(
        account.ssm,
        account.route_set_parameter,
        audit_table(account),
        registry=lambda: registered(account).value,
        eu_only=account.settings.deployment.eu_only,
    )


def route_set_library(account: Account) -> RouteSetLibrary:
    """The proposed route sets."""
    return RouteSetLibrary(account.ssm, account.route_set_library, audit_table(account))


def flag_writer(account: Account) -> FlagWriter:
    """The flags, for changing."""
    return FlagWriter(
        account.ssm,
        account.dynamodb,
        audit_table(account),
        path=account.flag_path,
        table=account.output(FLAGS, "FlagTableName"),
    )
