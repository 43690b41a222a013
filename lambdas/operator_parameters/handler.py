"""Custom resource that declares parameters whose values belong to operators once they are set.

CloudFormation sends `{"Parameters": "<JSON array>", "Tags": "<JSON object>", "Kept": "true" | "false"}`; a
parameter is `{"Name": …, "Value": …, "Description": …, "AllowedPattern": …}`, the last of them optional.

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
from dataclasses import dataclass
from typing import Protocol, cast

import boto3
from botocore.exceptions import ClientError

from lambdas.custom_resource import CustomResource, Event, RefusedError, Send, log, send

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
    return Declaration(parameters=_by_name(declared), tags=tags, kept=kept == "true")


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
    pattern = fields.get("AllowedPattern")
    if pattern is not None and not isinstance(pattern, str):
        raise RefusedError(f"{fields['Name']} has AllowedPattern {pattern!r}. Declare a text or none.")
    return Parameter(
        name=fields["Name"],
        value=fields["Value"],
        description=fields["Description"],
        allowed_pattern=pattern,
    )


def previous_declaration(event: Event) -> Declaration:
    """What was declared before; nothing where it cannot be read, so that every value is an operator's."""
    try:
        return parse_declaration(event.get("OldResourceProperties"))
    except RefusedError:
        return NOTHING


def deploy(declaration: Declaration, previous: Declaration, store: Store) -> Iterator[Outcome]:
    """Create what is absent, change what nobody touched, and tag everything."""
    for name, parameter in declaration.parameters.items():
        value = _read(store, name)
        if value is None:
            # Whoever created it meanwhile is an operator.
            created = _create(store, parameter, declaration)
            yield Outcome(name, "created" if created else "left alone")
            continue
        before = previous.parameters.get(name)
        untouched = {parameter.value, before.value if before else parameter.value}
        if value not in untouched:
            yield Outcome(name, "left alone")
        elif before in (None, parameter):
            yield Outcome(name, "unchanged")
        else:
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


def _create(store: Store, parameter: Parameter, declaration: Declaration) -> bool:
    try:
        store.put_parameter(**parameter.arguments, Overwrite=False, Tags=declaration.tag_list)
    except ClientError as error:
        if _code(error) == "ParameterAlreadyExists":
            return False
        raise
    return True


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


def run(event: Event, open_store: Callable[[], Store] = _open_store) -> str | None:
    """Do what the event asks; the reason it failed, or None."""

    def work() -> None:
        for outcome in _outcomes(event, open_store):
            log("operator parameter", name=outcome.name, result=outcome.result)

    return RESOURCE.failure(work)


def _outcomes(event: Event, open_store: Callable[[], Store]) -> Iterator[Outcome]:
    if event.get("RequestType") == "Delete":
        try:
            declaration = parse_declaration(event.get("ResourceProperties"))
        except RefusedError:
            # What was refused was never declared; to fail would leave a stack that cannot be deleted.
            declaration = NOTHING
        return delete(declaration, open_store())
    declaration = parse_declaration(event.get("ResourceProperties"))
    return deploy(declaration, previous_declaration(event), open_store())


def handler(event: Event, context: object, *, send: Send = send) -> None:  # noqa: ARG001
    """Run one CloudFormation custom resource event and answer its response URL."""
    RESOURCE.answer(event, run(event), send)
