"""What the Dockerfile promises before anything is built. hadolint judges it in `make check`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from image_build.base import require_pinned
from image_build.errors import ImageBuildError

CONTEXT = Path(__file__).parents[2] / "gateway_image"
DOCKERFILE = (CONTEXT / "Dockerfile").read_text()
STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]


def test_the_base_is_an_argument_pinned_by_digest() -> None:
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    require_pinned(default)
    assert {stage.split()[0] for stage in STAGES} == {"${PYTHON_IMAGE}", "scratch"}


@pytest.mark.parametrize(
    "base", ["python:3.13", "python", "python@sha256:9d2e", "registry.example/python:3.13-slim"]
)
def test_a_base_without_a_digest_is_refused(base: str) -> None:
    with pytest.raises(ImageBuildError, match=r"not pinned: name it with its digest"):
        require_pinned(base)


def test_the_image_starts_empty_and_runs_nothing_while_it_is_built() -> None:
    last = STAGES[-1]
    assert last.startswith("scratch AS gateway\n")
    assert not re.search(r"^(RUN|ADD|VOLUME)\b", last, re.MULTILINE)


def test_the_image_runs_as_a_numeric_user_who_is_not_root() -> None:
    assert re.findall(r"^USER (.*)$", STAGES[-1], re.MULTILINE) == ["65532:65532"]


def test_dependencies_are_locked_by_hash_and_never_compiled() -> None:
    assert "--only-binary :all: --require-hashes --requirement requirements.txt" in DOCKERFILE
    assert "--no-index --no-deps wheels/*.whl" in DOCKERFILE
    assert len(re.findall(r"pip (?:download|--python /opt/gateway install)", DOCKERFILE)) == 2


def test_the_build_sees_only_what_it_needs() -> None:
    rules = (CONTEXT / ".dockerignore").read_text().splitlines()
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert allowed == {"gateway", "requirements.txt", "root_file_system.py"}


def test_the_image_keeps_the_service_models_of_the_clients_the_gateway_makes() -> None:
    """A client without its service model fails at start, in the image only."""
    sources = (path.read_text() for path in (CONTEXT / "gateway").rglob("*.py"))
    used = {
        name for source in sources for name in re.findall(r"\.(?:client|resource)\(\s*\"([\w-]+)\"", source)
    }
    assert used, "the gateway makes its AWS clients in another way: teach this test"
    assert set(re.findall(r"! -name ([\w-]+)", DOCKERFILE)) == used
