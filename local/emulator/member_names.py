"""CloudFormation's member names turned into those of a service's API.

Templates write `ContainerDefinitions`, most APIs `containerDefinitions`; a few members have another
name altogether, and the keys of some are data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def api_form(
    value: Any,  # noqa: ANN401  (any JSON value)
    *,
    renamed: Mapping[str, str] | None = None,
    data: Collection[str] = (),
) -> Any:  # noqa: ANN401  (any JSON value)
    """A property with its member names in the API's case.

    `renamed` maps members the API calls differently; the content of members in `data` is left alone.
    """
    if isinstance(value, list):
        return [api_form(member, renamed=renamed, data=data) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        (renamed or {}).get(key, key[0].lower() + key[1:]): (
            member if key in data else api_form(member, renamed=renamed, data=data)
        )
        for key, member in value.items()
    }
