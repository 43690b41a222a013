"""The route set an environment deploys: the declared one less what the environment does not offer.

It becomes JSON in one SSM parameter. Nothing here needs the CDK.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stacks.declared_models import DeclaredModel, read_declaration
from stacks.settings_errors import Mistake, SettingsError

MAXIMUM_BYTES = 4096
"""Size of a standard parameter, https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"""


@dataclass(frozen=True, kw_only=True)
class RouteSet:
    """A route set that fits its environment; `text` is what the parameter holds."""

    text: str
    models: tuple[DeclaredModel, ...]


def load_route_set(
    file: Path,
    *,
    declared: Sequence[DeclaredModel],
    enabled_providers: Sequence[str],
    eu_only: bool,
) -> RouteSet:
    """Read a route set and leave out the models of providers that are not enabled.

    Raises:
        SettingsError: listing every model that is not declared or not fit for the EU, and a route set
            that breaks its schema, keeps no model, or does not fit into its parameter.
    """
    document = read_declaration(file, file.parent / "schema.json")
    references = [
        reference
        for reference in _references(document)
        if reference["key"].split("#")[0] in enabled_providers
    ]
    known = {(model.key, model.version): model for model in declared}
    text = json.dumps({**document, "models": references}, ensure_ascii=False, separators=(",", ":"))
    mistakes = [
        *_form_mistakes(file, document),
        *_model_mistakes(file, references, known, eu_only=eu_only),
        *_remainder_mistakes(file, references, text, enabled_providers),
    ]
    if mistakes:
        raise SettingsError(mistakes)
    models = tuple(known[reference["key"], reference["version"]] for reference in references)
    return RouteSet(text=text, models=models)


def _references(document: Mapping[str, object]) -> list[dict[str, str]]:
    models = document["models"]
    assert isinstance(models, list)  # noqa: S101 - the schema says so
    return models


def _form_mistakes(file: Path, document: Mapping[str, object]) -> Iterator[Mistake]:
    domains, default = document["domains"], document["default_domain"]
    assert isinstance(domains, dict)  # noqa: S101 - the schema says so
    if default not in domains:
        yield Mistake(
            file=file,
            key="default_domain",
            value=default,
            reason="no such domain is declared",
            remedy=f"name one of {', '.join(domains)}",
        )
    keys = [reference["key"] for reference in _references(document)]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield Mistake(
            file=file,
            key="models",
            value=key,
            reason="the model is listed more than once",
            remedy="keep one version of it",
        )


def _model_mistakes(
    file: Path,
    references: Sequence[Mapping[str, str]],
    known: Mapping[tuple[str, str], DeclaredModel],
    *,
    eu_only: bool,
) -> Iterator[Mistake]:
    for reference in references:
        key, version = reference["key"], reference["version"]
        model = known.get((key, version))
        if model is None:
            versions = ", ".join(other for other_key, other in known if other_key == key) or "none"
            yield Mistake(
                file=file,
                key="models",
                value=f"{key} {version}",
                reason=f"environments/models declares no such version; of this model it declares: {versions}",
                remedy="name a declared version, or declare this one",
            )
        elif eu_only and not (model.eu_processing and model.eu_licence):
            lacking = "eu_licence" if model.eu_processing else "eu_processing"
            yield Mistake(
                file=file,
                key="models",
                value=f"{key} {version}",
                reason=f"deployment.eu_only holds and {model.file.name} says residency.{lacking} = false",
                remedy="take the model out of the route set, or disable its provider",
            )


def _remainder_mistakes(
    file: Path, references: Sequence[Mapping[str, str]], text: str, enabled_providers: Sequence[str]
) -> Iterator[Mistake]:
    if not references:
        yield Mistake(
            file=file,
            key="models",
            value=[],
            reason=f"no model is left of the enabled providers ({', '.join(enabled_providers) or 'none'})",
            remedy="enable a provider, or name a route set with models of an enabled one",
        )
    if (size := len(text.encode())) > MAXIMUM_BYTES:
        yield Mistake(
            file=file,
            key="(file)",
            value=f"{size} bytes",
            reason=f"as JSON it does not fit into its parameter of {MAXIMUM_BYTES} bytes",
            remedy="take out models or domains, or split the route set",
        )
