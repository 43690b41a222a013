"""Flags as tests want them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.control.flag_chain import FlagAnswer, built_in
from gateway.control.flag_declarations import DECLARED
from gateway.control.flags import Flags


def flags_with(texts: Mapping[str, str]) -> Flags:
    """Flags of which some are said by the first tier, the others at their defaults."""
    said = {name: FlagAnswer(DECLARED[name].parse(text), "parameter", 0.0, 1) for name, text in texts.items()}
    return Flags(MappingProxyType({**built_in(), **said}))
