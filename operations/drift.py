"""How what is deployed differs from what is declared, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.control.registry import RegistryItem, item_to_fields
from operations.declared import Key

MOVED_BY_OPERATORS = "lifecycle"
ABSENT = "(none)"


@dataclass(frozen=True)
class FieldDifference:
    """One field of one version; `field` is dotted."""

    key: Key
    field: str
    declared: str
    deployed: str

    @property
    def is_a_move(self) -> bool:
        """Whether operators may have made it while the system ran."""
        return self.field == MOVED_BY_OPERATORS


@dataclass(frozen=True)
class Drift:
    """The differences of two registries: versions on one side only, changed fields, moved lifecycles."""

    absent: tuple[RegistryItem, ...]
    changed: tuple[FieldDifference, ...]
    moved: tuple[FieldDifference, ...]
    undeclared: tuple[Key, ...]


def drift_between(declared: Mapping[Key, RegistryItem], deployed: Mapping[Key, RegistryItem]) -> Drift:
    """Compare what is declared with what is deployed."""
    both = sorted(declared.keys() & deployed.keys())
    found = [each for key in both for each in _differences(key, declared[key], deployed[key])]
    return Drift(
        absent=tuple(declared[key] for key in sorted(declared.keys() - deployed.keys())),
        changed=tuple(each for each in found if not each.is_a_move),
        moved=tuple(each for each in found if each.is_a_move),
        undeclared=tuple(sorted(deployed.keys() - declared.keys())),
    )


def _differences(key: Key, declared: RegistryItem, deployed: RegistryItem) -> Iterator[FieldDifference]:
    one, other = dict(_leaves(item_to_fields(declared))), dict(_leaves(item_to_fields(deployed)))
    for field in sorted(one.keys() | other.keys()):
        said, found = one.get(field, ABSENT), other.get(field, ABSENT)
        if said != found:
            yield FieldDifference(key, field, said, found)


def _leaves(fields: Mapping[str, object], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(value)
