"""The model versions the repository declares: one TOML file each in `environments/models`.

Their JSON schema lies beside them and is generated from the gateway's own type. Nothing here needs the CDK.
"""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jsonschema_rs import Draft202012Validator

from stacks.settings_errors import Mistake, SettingsError


@dataclass(frozen=True, kw_only=True)
class DeclaredModel:
    """One declared version of one model; `fields` is the registry item without its partition key."""

    file: Path
    provider: str
    model: str
    version: str
    invocation_id: str
    lifecycle: str
    eu_processing: bool
    eu_licence: bool
    fields: Mapping[str, object]

    @property
    def key(self) -> str:
        """The registry table's partition key, `<provider>#<model>`."""
        return f"{self.provider}#{self.model}"

    @property
    def item(self) -> dict[str, object]:
        """The item as it lies in the registry table."""
        return {"provider#model": self.key, **self.fields}


def load_models(directory: Path) -> tuple[DeclaredModel, ...]:
    """Read every declared version, sorted by key and version.

    Raises:
        SettingsError: listing everything that is wrong with any of the files.
    """
    models: dict[tuple[str, str], DeclaredModel] = {}
    mistakes: list[Mistake] = []
    for file in sorted(directory.glob("*.toml")):
        try:
            model = _load_model(file, directory / "schema.json")
        except SettingsError as error:
            mistakes.extend(error.mistakes)
            continue
        key = (model.key, model.version)
        if key in models:
            mistakes.append(_declared_twice(model, models[key]))
        models[key] = model
    if mistakes:
        raise SettingsError(mistakes)
    return tuple(models[key] for key in sorted(models))


def read_declaration(file: Path, schema: Path) -> dict[str, object]:
    """Read a TOML file, dates as ISO text, and hold it to a JSON schema.

    Raises:
        SettingsError: if the file is missing, no TOML, or breaks the schema.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason, remedy = f"it cannot be read: {error}", "make it a TOML file"
        raise SettingsError(
            [Mistake(file=file, key="(file)", value=file.name, reason=reason, remedy=remedy)]
        ) from error
    declared: dict[str, object] = json.loads(json.dumps(document, default=_iso_date))
    if mistakes := list(_schema_mistakes(file, schema, declared)):
        raise SettingsError(mistakes)
    return declared


def _load_model(file: Path, schema: Path) -> DeclaredModel:
    fields = read_declaration(file, schema)
    residency = fields["residency"]
    assert isinstance(residency, dict)  # noqa: S101 - the schema says so
    return DeclaredModel(
        file=file,
        provider=str(fields["provider"]),
        model=str(fields["model"]),
        version=str(fields["version"]),
        invocation_id=str(fields["invocation_id"]),
        lifecycle=str(fields["lifecycle"]),
        eu_processing=residency["eu_processing"] is True,
        eu_licence=residency["eu_licence"] is True,
        fields=fields,
    )


def _schema_mistakes(file: Path, schema: Path, declared: object) -> Iterator[Mistake]:
    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")), validate_formats=True)
    for error in validator.iter_errors(declared):
        yield Mistake(
            file=file,
            key=".".join(map(str, error.instance_path)) or "(file)",
            value=error.instance,
            reason=error.message,
            remedy=f"follow {schema}",
        )


def _declared_twice(model: DeclaredModel, first: DeclaredModel) -> Mistake:
    return Mistake(
        file=model.file,
        key="version",
        value=model.version,
        reason=f"{first.file.name} declares this version of {model.key} as well",
        remedy="give one of them another version, or remove it",
    )


def _iso_date(value: object) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
