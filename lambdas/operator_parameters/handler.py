"""Custom resource that declares parameters whose values belong to operators once they are set.

CloudFormation sends `{"Parameters": "<JSON array>", "Tags": "<JSON object>", "Kept": "true" | "false",
"AuditTable": …}`; a parameter is `{"Name": …, "Value": …, "Description": …, "AllowedPattern": …,
"AuditSubject": …}`, the last two of them optional. A value of one with a subject is recorded in the table
before it is put: without its record no value, and the deployment fails with the reason.

An absent parameter is created. A present one is given another declaration only while it still has the value
that was declared before: any other value is an operator's, and stays. Parameter Store has no conditional
write, so a value set in the milliseconds between reading and writing such a change is lost; a deployment
whose declarations did not change writes no value at all.

Deleting the resource deletes the parameters unless they are kept. A parameter that is no longer declared
stays, whatever `Kept` says. The same event may arrive more than once; the second run finds its own values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, cast

import boto3
from botocore.exceptions import ClientError

from lambdas.audit_record import AuditTrail
from lambdas.audit_record import Table as AuditClient
from lambdas.custom_resource import CustomResource, Event, RefusedError, Send, log, send
from lambdas.operator_parameters.change_record import NotTakenError, Recorder, Trail

RESOURCE = CustomResource(
    name="operator-parameters",
    done="The parameters are declared.",
    failed="The parameters could not be declared",
)


class Store(Protocol):
    """The part of boto3's SSM client that is used; the arguments are Parameter Store's."""

    def get_parameter(self, *, Name: str) -> Mapping[str, object]:  # noqa: N803
        """It stands under `Parameter`; raises `ClientError` where it is absent."""
        ...

    def put_parameter(self, **arguments: object) -> object:
        """Raises `ClientError` where the parameter is present and `Overwrite` is not true."""
        ...

    def add_tags_to_resource(
        self,
        *,
        ResourceType: str,  # noqa: N803
        ResourceId: str,  # noqa: N803
        Tags: list[dict[str, str]],  # noqa: N803
    ) -> object:
        """Tags of the same keys are replaced."""
        ...

    def delete_parameter(self, *, Name: str) -> object:  # noqa: N803
        """Raises `ClientError` where the parameter is absent."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One declared parameter."""

    name: str
    value: str
    description: str
    allowed_pattern: str | None
    audit_subject: str | None = None

    @property
    def arguments(self) -> dict[str, object]:
        """What Parameter Store is told of it."""
        pattern = {"AllowedPattern": self.allowed_pattern} if self.allowed_pattern else {}
        return {
            "Name": self.name,
            "Value": self.value,
            "Description": self.description,
            "Type": "String",
            "Tier": "Standard",
            **pattern,
        }


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What one stack declares: its parameters by name, their tags, and whether they outlive it."""

    parameters: Mapping[str, Parameter]
    tags: Mapping[str, str]
    kept: bool
    audit_table: str | None = None

    @property
    def tag_list(self) -> list[dict[str, str]]:
        """The tags in Parameter Store's shape."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]


NOTHING = Declaration(parameters={}, tags={}, kept=True)


@dataclass(frozen=True)
class Outcome:
    """What became of one parameter, for the log."""

    name: str
    result: str


def parse_declaration(properties: object) -> Declaration:
    """Read the custom resource's properties.

    Raises:
        RefusedError: if a property is missing or malformed, or two parameters share a name.
    """
    if not isinstance(properties, Mapping):
        raise RefusedError("ResourceProperties is missing. Declare Parameters, Tags and Kept.")
    kept = properties.get("Kept")
    if kept not in ("true", "false"):
        raise RefusedError(f"Kept is {kept!r}. Declare 'true' or 'false'.")
    tags = _parse_json(properties, "Tags")
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise RefusedError(f"Tags is {tags!r}. Declare a JSON object of texts.")
    declared = _parse_json(properties, "Parameters")
    if not isinstance(declared, list):
        raise RefusedError(f"Parameters is a JSON {type(declared).__name__}. Declare a JSON array.")
    parameters = _by_name(declared)
    audit_table = properties.get("AuditTable")
    if any(each.audit_subject for each in parameters.values()) and not isinstance(audit_table, str):
        raise RefusedError(f"AuditTable is {audit_table!r}. Name the table of a parameter's AuditSubject.")
    return Declaration(
        parameters=parameters,
        tags=tags,
        kept=kept == "true",
        audit_table=audit_table if isinstance(audit_table, str) else None,
    )


def _parse_json(properties: Mapping[str, object], name: str) -> object:
    text = properties.get(name)
    if not isinstance(text, str):
        raise RefusedError(f"{name} is {type(text).__name__}, not text. Declare JSON as text.")
    try:
        return cast("object", json.loads(text))
    except ValueError as error:
        raise RefusedError(f"{name} is not valid JSON: {error}. Declare JSON as text.") from None


def _by_name(declared: Sequence[object]) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    for position, fields in enumerate(declared):
        parameter = _parse_parameter(position, fields)
        if parameter.name in parameters:
            raise RefusedError(f"{parameter.name} is declared twice. Keep one declaration.")
        parameters[parameter.name] = parameter
    return parameters


def _parse_parameter(position: int, fields: object) -> Parameter:
    if not isinstance(fields, dict):
        raise RefusedError(f"Parameter {position} is {fields!r}. Declare it as an object.")
    for field in ("Name", "Value", "Description"):
        if not isinstance(fields.get(field), str) or not fields[field]:
            raise RefusedError(f"Parameter {position} has {field} {fields.get(field)!r}. Declare a text.")
    for field in ("AllowedPattern", "AuditSubject"):
        given = fields.get(field)
        if given is not None and not isinstance(given, str):
            raise RefusedError(f"{fields['Name']} has {field} {given!r}. Declare a text or none.")
    return Parameter(
        name=fields["Name"],
        value=fields["Value"],
        description=fields["Description"],
        allowed_pattern=fields.get("AllowedPattern"),
        audit_subject=fields.get("AuditSubject"),
    )


def previous_declaration(event: Event) -> Declaration:
    """What was declared before; nothing where it cannot be read, so that every value is an operator's."""
    try:
        return parse_declaration(event.get("OldResourceProperties"))
    except RefusedError:
        return NOTHING


def deploy(
    declaration: Declaration, previous: Declaration, store: Store, recorder: Recorder | None
) -> Iterator[Outcome]:
    """Create what is absent, change what nobody touched, and tag everything.

    `recorder` records the values of the parameters that have a subject; None where none has one.
    """
    for name, parameter in declaration.parameters.items():
        value = _read(store, name)
        if value is None:
            # Whoever created it meanwhile is an operator.
            created = _create(store, parameter, declaration, recorder)
            yield Outcome(name, "created" if created else "left alone")
            continue
        before = previous.parameters.get(name)
        untouched = {parameter.value, before.value if before else parameter.value}
        if value not in untouched:
            yield Outcome(name, "left alone")
        elif before in (None, parameter):
            yield Outcome(name, "unchanged")
        else:
            with _recorded(recorder, parameter, value):
                store.put_parameter(**parameter.arguments, Overwrite=True)
            yield Outcome(name, "updated")
        _tag(store, name, declaration)
    for name in previous.parameters.keys() - declaration.parameters.keys():
        yield Outcome(name, "no longer declared, left alone")


def _read(store: Store, name: str) -> str | None:
    try:
        answer = store.get_parameter(Name=name)
    except ClientError as error:
        if _code(error) == "ParameterNotFound":
            return None
        raise
    return cast("dict[str, str]", answer["Parameter"])["Value"]


def _create(store: Store, parameter: Parameter, declaration: Declaration, recorder: Recorder | None) -> bool:
    try:
        with _recorded(recorder, parameter, None):
            _put_absent(store, parameter, declaration)
    except NotTakenError:
        return False
    return True


def _put_absent(store: Store, parameter: Parameter, declaration: Declaration) -> None:
    try:
        store.put_parameter(**parameter.arguments, Overwrite=False, Tags=declaration.tag_list)
    except ClientError as error:
        if _code(error) == "ParameterAlreadyExists":
            raise NotTakenError("somebody else created it meanwhile") from None
        raise


def _recorded(
    recorder: Recorder | None, parameter: Parameter, before: str | None
) -> AbstractContextManager[None]:
    if recorder is None or parameter.audit_subject is None or before == parameter.value:
        return nullcontext()
    return recorder.around(parameter.audit_subject, before, parameter.value)


def _tag(store: Store, name: str, declaration: Declaration) -> None:
    if declaration.tags:
        store.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=declaration.tag_list)


def delete(declaration: Declaration, store: Store) -> Iterator[Outcome]:
    """Delete the parameters, unless they are kept."""
    for name in declaration.parameters:
        if declaration.kept:
            yield Outcome(name, "kept")
            continue
        try:
            store.delete_parameter(Name=name)
        except ClientError as error:
            if _code(error) != "ParameterNotFound":
                raise
        yield Outcome(name, "deleted")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _open_store() -> Store:
    return cast("Store", boto3.client("ssm"))


def _open_trail(table: str) -> Trail:
    return AuditTrail(cast("AuditClient", boto3.client("dynamodb")), table)


def run(
    event: Event,
    open_store: Callable[[], Store] = _open_store,
    open_trail: Callable[[str], Trail] = _open_trail,
) -> str | None:
    """Do what the event asks; the reason it failed, or None."""

    def work() -> None:
        for outcome in _outcomes(event, open_store, open_trail):
            log("operator parameter", name=outcome.name, result=outcome.result)

    return RESOURCE.failure(work)


def _outcomes(
    event: Event, open_store: Callable[[], Store], open_trail: Callable[[str], Trail]
) -> Iterator[Outcome]:
    if event.get("RequestType") == "Delete":
        try:
            declaration = parse_declaration(event.get("ResourceProperties"))
        except RefusedError:
            # What was refused was never declared; to fail would leave a stack that cannot be deleted.
            declaration = NOTHING
        return delete(declaration, open_store())
    declaration = parse_declaration(event.get("ResourceProperties"))
    table = declaration.audit_table
    who = str(event.get("StackId") or "CloudFormation")
    recorder = None if table is None else Recorder(open_trail(table), who)
    return deploy(declaration, previous_declaration(event), open_store(), recorder)


def handler(event: Event, context: object, *, send: Send = send) -> None:  # noqa: ARG001
    """Run one CloudFormation custom resource event and answer its response URL."""
    RESOURCE.answer(event, run(event), send)
