"""From a parsed TOML document to values and findings, by the field definitions alone."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from stacks.settings_errors import ABSENT, Finding

Table = Mapping[str, object]


def as_json(document: Table) -> str:
    """The document as JSON, where strict parsing still makes tuples of lists and enums of texts."""
    return json.dumps(document, default=str)


def findings_of(model: type[BaseModel], document: Table) -> list[Finding]:
    """Everything in `document` that does not have the form `model` asks for."""
    try:
        model.model_validate_json(as_json(document))
    except ValidationError as error:
        return [_finding(model, details) for details in error.errors(include_url=False)]
    return []


def well_formed_values(model: type[BaseModel], document: Table) -> dict[str, object]:
    """The values of `section.field` that have the right form, whatever is wrong with their neighbours."""
    return {
        f"{section}.{name}": value
        for section, field in model.model_fields.items()
        for name, value in _values_of_section(field.annotation, document.get(section))
    }


def _values_of_section(section: Any, table: object) -> Iterator[tuple[str, object]]:  # noqa: ANN401
    if not isinstance(table, Mapping):
        return
    for name, field in section.model_fields.items():
        if name not in table:
            if not field.is_required():
                yield name, field.get_default(call_default_factory=True)
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]
        try:
            yield name, adapter.validate_json(json.dumps(table[name], default=str), strict=True)
        except ValidationError:
            continue


def _finding(model: type[BaseModel], details: ErrorDetails) -> Finding:
    location = details["loc"]
    missing = details["type"] == "missing"
    return Finding(
        key=".".join(str(part) for part in location),
        value=ABSENT if missing else details["input"],
        reason=_reason(details),
        remedy=_remedy(model, details),
    )


def _reason(details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        return "there is no such setting"
    if details["type"] == "missing":
        return "it is required"
    message = re.sub(r"^\w+ should", "it should", details["msg"])
    return message.replace(" after validation", "")


def _remedy(model: type[BaseModel], details: ErrorDetails) -> str:
    location = details["loc"]
    if details["type"] == "extra_forbidden":
        return _remedy_for_unknown(model, location)
    context = details.get("ctx", {})
    if "remedy" in context:
        return str(context["remedy"])
    field = _field_at(model, location)
    steps = (_instruction(details["type"], context, field), field.description if field else None)
    return " ".join(step for step in steps if step) or "give a value of that form"


def _instruction(kind: str, context: Mapping[str, object], field: FieldInfo | None) -> str:
    if kind in ("literal_error", "enum"):
        return f"Use {context['expected']}."
    if kind.startswith(("greater_than", "less_than")) and field is not None:
        return _range_of(field)
    return _INSTRUCTIONS.get(kind, "")


_INSTRUCTIONS = {
    "missing": "Add it.",
    "int_type": "Write a whole number, without quotes.",
    "float_type": "Write a number, without quotes.",
    "bool_type": "Write true or false, without quotes.",
    "string_type": "Write text in quotes.",
    "tuple_type": "Write a list in brackets.",
    "model_type": "Write a table.",
    "model_attributes_type": "Write a table.",
}


def _range_of(field: FieldInfo) -> str:
    bounds = {
        name: getattr(constraint, name)
        for constraint in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(constraint, name)
    }
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return f"Use {', '.join(f'{words[name]} {bound}' for name, bound in bounds.items())}."


def _remedy_for_unknown(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    parent = _model_at(model, location[:-1])
    known = list(parent.model_fields) if parent else []
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    if close:
        return f"did you mean {close[0]}? Otherwise remove it"
    return f"remove it; known here: {', '.join(known)}"


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    if not location:
        return model
    field = _field_at(model, location)
    return _model_in(field.annotation) if field else None


def _field_at(model: type[BaseModel], location: tuple[int | str, ...]) -> FieldInfo | None:
    """The field that stands at `location` or, inside a list or table, the one that holds it."""
    current: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for part in location:
        if current is not None and part in current.model_fields:
            field = current.model_fields[str(part)]
            current = _model_in(field.annotation)
    return field


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401
    """The model an annotation is, or holds: `Scaling`, `tuple[ScheduledFloor, ...]`, `Grounding | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    held = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in held if model is not None), None)
