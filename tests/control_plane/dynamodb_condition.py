"""Those condition expressions of DynamoDB that the control plane uses; every other one is an error.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

Attribute = Mapping[str, object]
Item = Mapping[str, Attribute]

_TOKEN = re.compile(r"\s*(?:(<=|>=|<>|[=<>(),])|([#:]?[A-Za-z_][\w.]*))")


def holds(
    expression: str,
    item: Item | None,
    names: Mapping[str, str] | None = None,
    values: Mapping[str, Attribute] | None = None,
) -> bool:
    """Whether `item`, None where there is none, is as `expression` says."""
    return _Reader(_tokens(expression), item or {}, names or {}, values or {}).whole()


def _tokens(expression: str) -> list[str]:
    tokens, position = [], 0
    text = expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match, f"not understood: {text[position:]!r}"
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


@dataclass
class _Reader:
    tokens: list[str]
    item: Item
    names: Mapping[str, str]
    values: Mapping[str, Attribute]
    position: int = field(default=0)

    def whole(self) -> bool:
        result = self._either()
        assert self.position == len(self.tokens), f"left over: {self.tokens[self.position :]}"
        return result

    def _next(self, expected: str | None = None) -> str:
        token = self.tokens[self.position]
        self.position += 1
        assert expected in (None, token), f"{token} where {expected} is expected"
        return token

    def _peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def _either(self) -> bool:
        result = self._both()
        while self._peek() == "OR":
            self._next()
            result = self._both() or result
        return result

    def _both(self) -> bool:
        result = self._negated()
        while self._peek() == "AND":
            self._next()
            result = self._negated() and result
        return result

    def _negated(self) -> bool:
        if self._peek() == "NOT":
            self._next()
            return not self._negated()
        if self._peek() == "(":
            self._next()
            result = self._either()
            self._next(")")
            return result
        return self._term()

    def _term(self) -> bool:
        first = self._next()
        if self._peek() == "(":
            return self._function(first)
        comparison = self._next()
        return _compared(self._operand(first), comparison, self._operand(self._next()))

    def _function(self, name: str) -> bool:
        self._next("(")
        operands = [self._operand(self._next())]
        while self._peek() == ",":
            self._next()
            operands.append(self._operand(self._next()))
        self._next(")")
        first = operands[0]
        match name:
            case "attribute_not_exists":
                return first is None
            case "attribute_exists":
                return first is not None
            case "attribute_type":
                return first is not None and next(iter(first)) == (operands[1] or {}).get("S")
            case "begins_with":
                return first is not None and str(first.get("S", "")).startswith(
                    str((operands[1] or {}).get("S"))
                )
        raise AssertionError(f"no function {name}")

    def _operand(self, token: str) -> Attribute | None:
        if token.startswith(":"):
            return self.values[token]
        return self.item.get(self.names[token] if token.startswith("#") else token)


def _compared(one: Attribute | None, comparison: str, other: Attribute | None) -> bool:
    """What is not there, or of another type, compares to nothing."""
    if one is None or other is None or one.keys() != other.keys():
        return False
    ((kind, left),), (right,) = one.items(), other.values()
    if comparison == "=":
        return Decimal(str(left)) == Decimal(str(right)) if kind == "N" else left == right
    assert kind == "N", "only numbers are compared by size"
    smaller, larger = Decimal(str(left)), Decimal(str(right))
    return {"<": smaller < larger, "<=": smaller <= larger, ">": smaller > larger, ">=": smaller >= larger}[
        comparison
    ]
