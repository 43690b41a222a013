"""How a declared version differs from its deployed form, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lambdas.registry_guard.values import Item, Key, Value, name_of, shown

MOVED_BY_OPERATORS = "lifecycle"
"""What the repository declares is the state a version is born with; a deployed one may have been moved."""


class _Absent:
    def __repr__(self) -> str:
        return "(none)"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """One field that is not the same; `field` is dotted."""

    key: Key
    field: str
    declared: str
    deployed: str

    @property
    def allowed(self) -> bool:
        """Whether it is what operators move while the system runs."""
        return self.field == MOVED_BY_OPERATORS

    def __str__(self) -> str:
        return f"{name_of(self.key)}: {self.field} is declared {self.declared} and deployed {self.deployed}"


def differences(key: Key, declared: Item, deployed: Item) -> list[Difference]:
    """Every field of one version that is not the same."""
    return [Difference(key, *found) for found in _compared(declared, deployed, "")]


def _compared(declared: Value, deployed: Value, path: str) -> Iterator[tuple[str, str, str]]:
    """A flag never equals a number."""
    if isinstance(declared, Mapping) and isinstance(deployed, Mapping):
        for name in sorted(declared.keys() | deployed.keys()):
            inner = f"{path}.{name}" if path else name
            if name in declared and name in deployed:
                yield from _compared(declared[name], deployed[name], inner)
            else:
                yield inner, _present(declared, name), _present(deployed, name)
    elif isinstance(declared, bool) is not isinstance(deployed, bool) or declared != deployed:
        yield path, shown(declared), shown(deployed)


def _present(item: Mapping[str, Value], name: str) -> str:
    return shown(item[name]) if name in item else repr(ABSENT)
