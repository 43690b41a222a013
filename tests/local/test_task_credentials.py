"""A container gets its role's credentials the way the SDKs expect them from ECS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

import botocore.session
import pytest

from local.task_credentials import CredentialsEndpoint, RoleCredentials


@contextmanager
def endpoint(lifetime: timedelta) -> Iterator[tuple[CredentialsEndpoint, list[RoleCredentials]]]:
    """An endpoint whose role sessions live as long as said, and the sessions it has asked for."""
    assumed: list[RoleCredentials] = []

    def assume() -> RoleCredentials:
        expiration = datetime.now(UTC) + lifetime
        assumed.append(RoleCredentials(f"ASIA{len(assumed)}", "secret", "session", expiration))
        return assumed[-1]

    with CredentialsEndpoint("arn:aws:iam::000000000000:role/task", assume) as serving:
        yield serving, assumed


@pytest.fixture
def as_container(monkeypatch: pytest.MonkeyPatch) -> Callable[[CredentialsEndpoint], None]:
    def become(serving: CredentialsEndpoint) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        for name, value in serving.environment().items():
            monkeypatch.setenv(name, value)

    return become


def test_an_sdk_finds_the_roles_credentials_by_itself(
    as_container: Callable[[CredentialsEndpoint], None],
) -> None:
    with endpoint(timedelta(hours=1)) as (serving, _):
        as_container(serving)
        credentials = botocore.session.Session().get_credentials()
        assert credentials is not None
        assert credentials.method == "container-role"
        frozen = credentials.get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("ASIA0", "secret", "session")


def test_credentials_are_held_while_they_last() -> None:
    with endpoint(timedelta(hours=1)) as (serving, assumed):
        assert serving.document() == serving.document()
    assert len(assumed) == 1


def test_credentials_about_to_expire_are_renewed() -> None:
    with endpoint(timedelta(minutes=14)) as (serving, assumed):
        serving.document()
        assert serving.document()["AccessKeyId"] == "ASIA1"
    assert len(assumed) == 2


@pytest.mark.parametrize("token", [None, "wrong"])
def test_without_the_containers_token_there_are_no_credentials(token: str | None) -> None:
    with endpoint(timedelta(hours=1)) as (serving, assumed):
        url = serving.environment()["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        place = urlsplit(url)
        connection = HTTPConnection(place.netloc, timeout=5)
        connection.request("GET", place.path, headers={"Authorization": token} if token else {})
        response = connection.getresponse()
        connection.close()
    assert response.status == 403
    assert assumed == []
