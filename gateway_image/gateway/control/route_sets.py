"""The route set in force, read from its SSM parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.control.snapshot import Loaded
from gateway.routing.policy import RouteSet, parse_route_set

if TYPE_CHECKING:
    from types_boto3_ssm.client import SSMClient


class RouteSetParameter:
    """One SSM parameter. `load` blocks."""

    def __init__(self, client: SSMClient, name: str) -> None:
        self._client = client
        self._name = name

    def load(self, previous: RouteSet | None) -> Loaded[RouteSet]:
        """Read and validate the parameter.

        Raises:
            ValueError: it is no route set, and there is none before to keep.
        """
        text = self._client.get_parameter(Name=self._name)["Parameter"]["Value"]
        try:
            return Loaded(parse_route_set(text))
        except ValueError as error:
            if previous is None:
                raise
            return Loaded(previous, (f"{self._name}: {error}",))
