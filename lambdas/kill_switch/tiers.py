"""One kill switch in the tiers that the function writes: the parameter, and the row of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from botocore.exceptions import ClientError

from lambdas.flag_row import FlagRow, milliseconds

ON = "on"
_OFF_WORDS = ("off", "false", "0", "no")
_ON_WORDS = (ON, "true", "1", "yes")


class Ssm(Protocol):
    """The part of boto3's SSM client that is used; the arguments are Parameter Store's."""

    def get_parameter(self, **arguments: object) -> Mapping[str, object]:
        """It stands under `Parameter`; raises `ClientError` where it is absent."""
        ...

    def put_parameter(self, **arguments: object) -> object:
        """Writes over what is there."""
        ...


class Table(Protocol):
    """The part of boto3's DynamoDB client that is used; the arguments are DynamoDB's."""

    def get_item(self, **arguments: object) -> Mapping[str, object]:
        """The item under `Item`, where there is one."""
        ...

    def put_item(self, **arguments: object) -> object:
        """Raises `ClientError` where the condition does not hold."""
        ...


@dataclass(frozen=True, kw_only=True)
class Switched:
    """What a tier says of a switch, and since when (ms); 0 where it says nothing."""

    text: str = ""
    changed_at_ms: int = 0

    @property
    def is_on(self) -> bool:
        """Whether it says on in the word that is written here."""
        return self._word == ON

    @property
    def is_off(self) -> bool:
        """Whether every reader takes it for off."""
        return self._word in _OFF_WORDS

    @property
    def is_readable(self) -> bool:
        """Whether it says anything; what is put by mistake is no change of the switch."""
        return self._word in (*_ON_WORDS, *_OFF_WORDS)

    @property
    def _word(self) -> str:
        return self.text.strip().casefold()


class ParameterTier:
    """The first tier. Every method raises what boto3 raises."""

    name = "parameter"

    def __init__(self, client: Ssm, path: str) -> None:
        self._client = client
        self._path = path

    def read(self, flag: str) -> Switched:
        """What the parameter says."""
        try:
            answer = self._client.get_parameter(Name=f"{self._path}/{flag}")
        except ClientError as error:
            if _code(error) == "ParameterNotFound":
                return Switched()
            raise
        parameter = cast("Mapping[str, object]", answer["Parameter"])
        changed = cast("datetime", parameter["LastModifiedDate"])
        return Switched(text=str(parameter["Value"]), changed_at_ms=milliseconds(changed))

    def turn_on(self, row: FlagRow) -> None:
        """Write it over whatever is there."""
        self._client.put_parameter(
            Name=f"{self._path}/{row.flag}", Value=row.value, Type="String", Overwrite=True
        )


class TableTier:
    """The second tier. Every method raises what boto3 raises."""

    name = "table"

    def __init__(self, client: Table, table: str, *, now_ms: int) -> None:
        self._client = client
        self._table = table
        self._now_ms = now_ms

    def read(self, flag: str) -> Switched:
        """What the row says."""
        answer = self._client.get_item(TableName=self._table, Key={"flag": {"S": flag}}, ConsistentRead=True)
        item = cast("Mapping[str, Mapping[str, str]]", answer.get("Item", {}))
        moment = item.get("changed_at_ms", {}).get("N", "")
        is_moment = moment.isascii() and moment.isdigit() and int(moment) <= self._now_ms
        return Switched(
            text=item.get("value", {}).get("S", ""), changed_at_ms=int(moment) if is_moment else 0
        )

    def turn_on(self, row: FlagRow) -> None:
        """Write it, unless there is something newer by now, which counts."""
        try:
            self._client.put_item(**row.put(self._table, now_ms=self._now_ms))
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
