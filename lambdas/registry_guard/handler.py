"""Custom resource that writes declared model versions and keeps deployed ones immutable.

CloudFormation sends `{"TableName": …, "AuditTable": …, "Items": "<JSON array of registry items>",
"RouteSet": "<the declared one>", "RouteSetParameter": …, "EuOnly": "true" | "false"}`. Before a write

* each item is held to the JSON schema of registry items, and to what its fields mean together,
* each deployed version to its declaration: a field that differs fails the deployment and is shown with both
  values, but for `lifecycle`, which operators move,
* each version that the route set in force names, or where none is in force the declared one: it must be
  deployed or declared, be neither a draft nor retired, and stay in the EU where the environment must.

Then the versions that the table lacks are written, each together with its audit record. Deleting the
resource leaves the table alone: deployed versions may be in use.

Items travel as JSON text because CloudFormation turns every number and boolean of a custom resource's
properties into text. The same event may arrive more than once; the second run finds its own items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import boto3

from lambdas.audit_record import AuditTrail
from lambdas.audit_record import Table as AuditClient
from lambdas.custom_resource import CustomResource, Event, RefusedError, Send, log, send
from lambdas.registry_guard.declaration import Declaration, parse_declaration
from lambdas.registry_guard.differences import Difference, differences
from lambdas.registry_guard.references import reference_problems, references
from lambdas.registry_guard.stores import (
    Parameters,
    Table,
    Trail,
    add_version,
    read_parameter,
    read_versions,
)
from lambdas.registry_guard.values import Item, Key, name_of

RESOURCE = CustomResource(
    name="registry-guard",
    done="Declared versions are deployed.",
    failed="The registry could not be checked",
)


@dataclass(frozen=True)
class Stores:
    """What the guard reads and writes."""

    table: Table
    parameters: Parameters
    trail: Trail


def _open_stores(declaration: Declaration) -> Stores:
    return Stores(
        table=cast("Table", boto3.resource("dynamodb").Table(declaration.table_name)),
        parameters=cast("Parameters", boto3.client("ssm")),
        trail=AuditTrail(cast("AuditClient", boto3.client("dynamodb")), declaration.audit_table),
    )


def deploy(declaration: Declaration, stores: Stores, who: str) -> None:
    """Write the absent versions, after checking everything that is there and that is named.

    `who` is named in the records.

    Raises:
        RefusedError: if a deployed version differs from its declaration, or a route set names a version
            that it must not.
    """
    deployed = read_versions(stores.table, declaration.items)
    _refuse_changes(declaration.items, deployed)
    _refuse_references(declaration, deployed, stores)
    for key, item in declaration.items.items():
        if key in deployed:
            continue
        if add_version(stores.trail, declaration.table_name, key, item, who):
            log("registry version written", version=name_of(key))
        else:
            # Somebody wrote the version between the read and the put: judge what is there now.
            _refuse_changes({key: item}, read_versions(stores.table, [key]))


def _refuse_changes(declared: Mapping[Key, Item], deployed: Mapping[Key, Item]) -> None:
    refused: list[Difference] = []
    for key in declared.keys() & deployed.keys():
        for found in differences(key, declared[key], deployed[key]):
            log(
                "registry version moved" if found.allowed else "registry version changed",
                version=name_of(key),
                field=found.field,
                declared=found.declared,
                deployed=found.deployed,
            )
            if not found.allowed:
                refused.append(found)
    if refused:
        lines = "; ".join(sorted(map(str, refused)))
        raise RefusedError(
            f"A deployed model version is immutable, but {lines}. "
            "Restore the declaration and declare the change as a new version."
        )


def _refuse_references(declaration: Declaration, deployed: Mapping[Key, Item], stores: Stores) -> None:
    """The route set that is routed by is judged by what the registry will hold after this deployment.

    Where operators have put another one in force, the declared one is routed by nowhere: what is wrong with
    it is only logged. A rollback sends the declaration before, and must not fail for what operators have
    outdated since.
    """
    known = {**declaration.items, **deployed}
    in_force = read_parameter(stores.parameters, declaration.route_set_parameter)
    declared = list(_problems("the declared route set", declaration.route_set, known, declaration, stores))
    if in_force is None or in_force == declaration.route_set:
        problems = declared
    else:
        for problem in declared:
            log("declared route set outdated", problem=problem)
        problems = list(_problems("the route set in force", in_force, known, declaration, stores))
    for problem in problems:
        log("route set refused", problem=problem)
    if problems:
        raise RefusedError(
            f"A route set must name registered versions that may be routed to, but {'; '.join(problems)}. "
            "Correct environments/route-sets for the declared one; for the one in force use "
            "make route-set-activate or make route-set-rollback."
        )


def _problems(
    which: str, text: str, known: Mapping[Key, Item], declaration: Declaration, stores: Stores
) -> Iterator[str]:
    try:
        named = references(text)
    except ValueError as error:
        yield f"{which} cannot be read: {error}"
        return
    elsewhere: Sequence[Key] = [key for key in named if key not in known]
    registered = {**known, **read_versions(stores.table, elsewhere)}
    for problem in reference_problems(named, registered, eu_only=declaration.eu_only):
        yield f"{which}: {problem}"


def run(event: Event, open_stores: Callable[[Declaration], Stores] = _open_stores) -> str | None:
    """Do what the event asks; the reason it failed, or None."""

    def work() -> None:
        if event.get("RequestType") != "Delete":
            declaration = parse_declaration(event.get("ResourceProperties"))
            who = str(event.get("StackId") or "CloudFormation")
            deploy(declaration, open_stores(declaration), who)

    return RESOURCE.failure(work)


def handler(event: Event, context: object, *, send: Send = send) -> None:  # noqa: ARG001
    """Run one CloudFormation custom resource event and answer its response URL."""
    RESOURCE.answer(event, run(event), send)
