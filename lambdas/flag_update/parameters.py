"""The first tier: parameters below one path, whose values operators own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, cast

from botocore.exceptions import ClientError

from lambdas.flag_row import milliseconds
from lambdas.flag_update.judgement import Version


class Ssm(Protocol):
    """The part of boto3's SSM client that is used; the arguments are Parameter Store's."""

    def get_parameters_by_path(self, **arguments: object) -> Mapping[str, object]:
        """A page under `Parameters`, and `NextToken` where there are more."""
        ...

    def get_parameter_history(self, **arguments: object) -> Mapping[str, object]:
        """A page under `Parameters`, oldest first, and `NextToken` where there are more."""
        ...

    def put_parameter(self, **arguments: object) -> Mapping[str, object]:
        """The new version under `Version`; raises `ClientError` where it is there and not overwritten."""
        ...


class FlagParameters:
    """Every method raises what boto3 raises. `path` has no slash at its end."""

    def __init__(self, client: Ssm, path: str) -> None:
        self._client = client
        self._path = path

    def texts(self) -> dict[str, str]:
        """Name below the path → value, of every parameter there, be it a flag or not."""
        pages = _pages(self._client.get_parameters_by_path, Path=self._path, Recursive=True)
        return {
            str(parameter["Name"]).removeprefix(f"{self._path}/"): str(parameter["Value"])
            for parameter in pages
        }

    def history(self, flag: str) -> Sequence[Version]:
        """The versions of a flag's parameter that Parameter Store keeps, oldest first."""
        pages = _pages(self._client.get_parameter_history, Name=f"{self._path}/{flag}")
        versions = [
            Version(
                text=str(entry["Value"]),
                number=int(str(entry["Version"])),
                changed_at_ms=milliseconds(cast("datetime", entry["LastModifiedDate"])),
                changed_by=str(entry.get("LastModifiedUser", "")),
            )
            for entry in pages
        ]
        return sorted(versions, key=lambda version: version.number)

    def put(self, flag: str, value: str) -> int:
        """Write over the parameter's value; the new version."""
        answer = self._client.put_parameter(
            Name=f"{self._path}/{flag}", Value=value, Type="String", Overwrite=True
        )
        return int(str(answer["Version"]))

    def create(self, flag: str, value: str, description: str) -> bool:
        """Make the parameter; False where it is there."""
        try:
            self._client.put_parameter(
                Name=f"{self._path}/{flag}",
                Value=value,
                Type="String",
                Tier="Standard",
                Description=description,
                Overwrite=False,
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ParameterAlreadyExists":
                return False
            raise
        return True


class _Page(Protocol):
    def __call__(self, **arguments: object) -> Mapping[str, object]: ...


def _pages(read: _Page, **arguments: object) -> Iterator[Mapping[str, object]]:
    """The parameters of every page."""
    token: object = None
    while True:
        page = read(**arguments, **({} if token is None else {"NextToken": token}))
        yield from cast("list[Mapping[str, object]]", page["Parameters"])
        token = page.get("NextToken")
        if not token:
            return
