"""Secrets Manager's versions, labels and tags, by AWS's rules where moto is more lenient.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html and
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
"""

# The arguments are Secrets Manager's.
# ruff: noqa: N803

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from botocore.exceptions import ClientError

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
_TAG = re.compile(r"[\w\s.:/=+@-]{0,256}")


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass
class StoredVersion:
    created_at_s: float
    text: str | None = None
    labels: set[str] = field(default_factory=set)


class StrictVault:
    """One account's secrets. A version's value is written once; every label is on one version at most."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.secrets: dict[str, dict[str, StoredVersion]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.rotation_is_on = True
        self._now_s = now_s

    def create(self, arn: str, text: str) -> None:
        first = StoredVersion(self._now_s(), text, {CURRENT})
        self.secrets[arn] = {"first-version-00000000000000000000": first}
        self.tags[arn] = {}

    def rotate_secret(self, arn: str, token: str) -> None:
        pending = self.labelled(arn, PENDING)
        if pending is not None and pending != self.labelled(arn, CURRENT):
            raise refused("InvalidRequestException", "RotateSecret")
        self._move(arn, PENDING, token)

    def labelled(self, arn: str, label: str) -> str | None:
        return next((id for id, version in self.secrets[arn].items() if label in version.labels), None)

    def text(self, arn: str, label: str = CURRENT) -> str:
        found = self.labelled(arn, label)
        assert found, f"no version carries {label}"
        text = self.secrets[arn][found].text
        assert text is not None, f"the version with {label} has no value"
        return text

    # ---- the calls of boto3's client ---------------------------------------------------------------

    def describe_secret(self, *, SecretId: str) -> Mapping[str, object]:
        return {
            "RotationEnabled": self.rotation_is_on,
            "VersionIdsToStages": {
                id: sorted(version.labels) for id, version in self.secrets[SecretId].items() if version.labels
            },
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags[SecretId].items()],
        }

    def get_secret_value(self, *, SecretId: str, VersionId: str = "") -> Mapping[str, object]:
        version = self.secrets[SecretId].get(VersionId or self.labelled(SecretId, CURRENT) or "")
        if version is None or version.text is None:
            raise refused("ResourceNotFoundException", "GetSecretValue")
        created = datetime.fromtimestamp(version.created_at_s, UTC)
        return {"SecretString": version.text, "CreatedDate": created}

    def put_secret_value(
        self,
        *,
        SecretId: str,
        ClientRequestToken: str,
        SecretString: str,
        VersionStages: Sequence[str] = (CURRENT,),
    ) -> object:
        assert 32 <= len(ClientRequestToken) <= 64
        version = self.secrets[SecretId].get(ClientRequestToken)
        if version is not None and version.text is not None:
            if version.text != SecretString:
                raise refused("ResourceExistsException", "PutSecretValue")
            return {}
        stored = self.secrets[SecretId].setdefault(ClientRequestToken, StoredVersion(self._now_s()))
        stored.text = SecretString
        for label in VersionStages:
            self._move(SecretId, label, ClientRequestToken)
        return {}

    def update_secret_version_stage(
        self, *, SecretId: str, VersionStage: str, RemoveFromVersionId: str = "", MoveToVersionId: str = ""
    ) -> object:
        holder = self.labelled(SecretId, VersionStage) or ""
        wrong_holder = RemoveFromVersionId != holder
        gone = MoveToVersionId and MoveToVersionId not in self.secrets[SecretId]
        if wrong_holder or gone or (VersionStage == CURRENT and not MoveToVersionId):
            raise refused("InvalidParameterException", "UpdateSecretVersionStage")
        if MoveToVersionId:
            self._move(SecretId, VersionStage, MoveToVersionId)
        else:
            self.secrets[SecretId][holder].labels.discard(VersionStage)
        return {}

    def tag_resource(self, *, SecretId: str, Tags: Sequence[Mapping[str, str]]) -> object:
        assert all(_TAG.fullmatch(tag["Value"]) for tag in Tags)
        self.tags[SecretId].update({tag["Key"]: tag["Value"] for tag in Tags})
        return {}

    def _move(self, arn: str, label: str, to: str) -> None:
        holder = self.labelled(arn, label)
        if holder == to:
            return
        if holder is not None:
            self.secrets[arn][holder].labels.discard(label)
        self.secrets[arn].setdefault(to, StoredVersion(self._now_s())).labels.add(label)
        if label == CURRENT and holder is not None:
            self.secrets[arn][to].labels.discard(PREVIOUS)
            self._move(arn, PREVIOUS, holder)
