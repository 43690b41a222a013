"""Parameter Store in memory: versions, history, and watches of every change. Held to moto by a test."""

# The arguments are Parameter Store's.
# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

KEPT_VERSIONS = 100


@dataclass(frozen=True)
class ParameterVersion:
    number: int
    text: str
    changed_at_ms: int
    changed_by: str


class ParameterNotFound(ClientError):  # noqa: N818 - AWS's name
    def __init__(self, operation: str) -> None:
        super().__init__({"Error": {"Code": "ParameterNotFound", "Message": "it is not there"}}, operation)


class ParameterAlreadyExists(ClientError):  # noqa: N818 - AWS's name
    def __init__(self, operation: str) -> None:
        super().__init__({"Error": {"Code": "ParameterAlreadyExists", "Message": "it is there"}}, operation)


class Exceptions:
    ParameterNotFound = ParameterNotFound
    ParameterAlreadyExists = ParameterAlreadyExists


Watch = Callable[[str, ParameterVersion | None, ParameterVersion | None, str], None]


class MemoryParameters:
    """Versions by name, oldest first. `watches` are told each change after it was made."""

    exceptions = Exceptions

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.versions: dict[str, list[ParameterVersion]] = {}
        self.watches: list[Watch] = []
        self._now_ms = now_ms

    def text(self, name: str) -> str | None:
        versions = self.versions.get(name)
        return versions[-1].text if versions else None

    # ---- the calls of boto3's client ---------------------------------------------------------------

    def get_parameter(self, *, Name: str, caller: str = "") -> Mapping[str, Any]:
        del caller
        if Name not in self.versions:
            raise ParameterNotFound("GetParameter")
        return {"Parameter": _told(Name, self.versions[Name][-1])}

    def get_parameters_by_path(
        self, *, Path: str, Recursive: bool = False, caller: str = ""
    ) -> Mapping[str, Any]:
        del caller
        below = [name for name in self.versions if name.startswith(f"{Path}/")]
        if not Recursive:
            below = [name for name in below if "/" not in name.removeprefix(f"{Path}/")]
        return {"Parameters": [_told(name, self.versions[name][-1]) for name in sorted(below)]}

    def get_parameter_history(self, *, Name: str, caller: str = "") -> Mapping[str, Any]:
        del caller
        if Name not in self.versions:
            raise ParameterNotFound("GetParameterHistory")
        return {"Parameters": [_told(Name, each) for each in self.versions[Name]]}

    def put_parameter(
        self,
        *,
        Name: str,
        Value: str,
        Type: str,
        Overwrite: bool = False,
        Tier: str = "Standard",
        Description: str = "",
        caller: str = "",
    ) -> Mapping[str, Any]:
        assert (Type, Tier) == ("String", "Standard")
        assert len(Description) <= 1024
        assert 1 <= len(Value.encode()) <= 4096
        versions = self.versions.get(Name)
        if versions and not Overwrite:
            raise ParameterAlreadyExists("PutParameter")
        before = versions[-1] if versions else None
        number = before.number + 1 if before else 1
        after = ParameterVersion(number, Value, self._now_ms(), f"arn:aws:iam::111122223333:user/{caller}")
        self.versions[Name] = [*(versions or ()), after][-KEPT_VERSIONS:]
        for watch in self.watches:
            watch(Name, before, after, caller)
        return {"Version": number}

    def delete_parameter(self, *, Name: str, caller: str = "") -> Mapping[str, Any]:
        if Name not in self.versions:
            raise ParameterNotFound("DeleteParameter")
        before = self.versions.pop(Name)[-1]
        for watch in self.watches:
            watch(Name, before, None, caller)
        return {}


def _told(name: str, version: ParameterVersion) -> dict[str, Any]:
    return {
        "Name": name,
        "Value": version.text,
        "Version": version.number,
        "LastModifiedDate": datetime.fromtimestamp(version.changed_at_ms / 1000, UTC),
        "LastModifiedUser": version.changed_by,
    }
