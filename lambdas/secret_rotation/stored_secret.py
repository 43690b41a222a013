"""One secret in Secrets Manager: its versions, labels and tags."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from botocore.exceptions import ClientError

from lambdas.secret_rotation import moment
from lambdas.secret_rotation.document import Document, parse, write
from lambdas.secret_rotation.refusal import RotationError, code_of
from lambdas.secret_rotation.vault import CURRENT, PENDING, PREVIOUS, Vault

_SINCE = re.compile(r"since-(?P<stamp>\d{8}T\d{6}Z)-[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version that has a value. The text is never shown."""

    id: str
    created_at_s: float
    text: str = field(repr=False)

    def document(self, what: str) -> Document:
        """The value.

        Raises:
            RotationError: it is no JSON object; `what` says whose it is.
        """
        return parse(self.text, what)


@dataclass(frozen=True, kw_only=True)
class Description:
    """Which version carries which label, and the tags, as they stood at one moment."""

    rotation_is_off: bool
    labels: Mapping[str, frozenset[str]]
    tags: Mapping[str, str]

    def version_with(self, label: str) -> str | None:
        """The version that carries `label`."""
        return next((version for version, labels in self.labels.items() if label in labels), None)

    @property
    def open_pending(self) -> str | None:
        """The version of a rotation that is under way: it carries AWSPENDING and is not the current one."""
        version = self.version_with(PENDING)
        return None if version == self.version_with(CURRENT) else version


class StoredSecret:
    """Reads and writes one secret."""

    def __init__(self, vault: Vault, arn: str) -> None:
        self._vault = vault
        self._arn = arn

    def describe(self) -> Description:
        """How things stand now."""
        answer = self._vault.describe_secret(SecretId=self._arn)
        labels = cast("Mapping[str, Sequence[str]]", answer.get("VersionIdsToStages") or {})
        tags = cast("Sequence[Mapping[str, str]]", answer.get("Tags") or ())
        return Description(
            rotation_is_off=answer.get("RotationEnabled") is False,
            labels={version: frozenset(names) for version, names in labels.items()},
            tags={tag["Key"]: tag["Value"] for tag in tags},
        )

    def version(self, version_id: str | None) -> Version | None:
        """A version's value; None where it has none yet, or is gone."""
        if version_id is None:
            return None
        try:
            answer = self._vault.get_secret_value(SecretId=self._arn, VersionId=version_id)
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return None
            raise
        return Version(
            id=version_id,
            created_at_s=cast("datetime", answer["CreatedDate"]).timestamp(),
            text=str(answer.get("SecretString", "")),
        )

    def current(self, described: Description) -> Version:
        """The value in force.

        Raises:
            RotationError: there is none.
        """
        version = self.version(described.version_with(CURRENT))
        if version is None:
            raise RotationError("the secret has no current value; put one")
        return version

    def put(self, version_id: str, document: Document, label: str) -> None:
        """Give a version its value and a label."""
        self._vault.put_secret_value(
            SecretId=self._arn,
            ClientRequestToken=version_id,
            SecretString=write(document),
            VersionStages=[label],
        )

    def replace_current(self, *, by: str, instead_of: str) -> None:
        """Make `by` the current version, if `instead_of` still is; what was current becomes AWSPREVIOUS."""
        self._vault.update_secret_version_stage(
            SecretId=self._arn, VersionStage=CURRENT, MoveToVersionId=by, RemoveFromVersionId=instead_of
        )

    def take_off(self, label: str, version_id: str) -> None:
        """Take a label off a version that has it. AWSCURRENT is never taken off."""
        if label not in (PENDING, PREVIOUS):
            raise ValueError(label)
        self._vault.update_secret_version_stage(
            SecretId=self._arn, VersionStage=label, RemoveFromVersionId=version_id
        )

    def tag(self, **tags: str) -> None:
        """Set tags, all of them in one call. Underscores of the names become hyphens."""
        self._vault.tag_resource(
            SecretId=self._arn,
            Tags=[{"Key": name.replace("_", "-"), "Value": value} for name, value in tags.items()],
        )


def continuing_id(version: Version, since_s: float) -> str:
    """The id of a version that goes on with the key of `version`, which is current since `since_s`.

    It is the same whenever it is asked for, so that a second attempt writes the same version again.
    """
    return f"since-{moment.compact(since_s)}-{hashlib.sha256(version.id.encode()).hexdigest()[:32]}"


def continued_since_s(version: Version) -> float | None:
    """What `continuing_id` wrote down; None for every other version."""
    match = _SINCE.fullmatch(version.id)
    return None if match is None else moment.compact_s(match["stamp"])
