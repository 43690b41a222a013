"""Reads a Dockerfile as far as a process without a container needs it.

A base image's content and what RUN produces are left out: the project's own environment stands for
them. What remains is which files an image holds and how its process starts. Reference:
https://docs.docker.com/reference/dockerfile/.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath


class DockerfileError(Exception):
    """A Dockerfile that cannot be followed here; names the line, the reason and the remedy."""


@dataclass(frozen=True)
class Copy:
    """One COPY: sources relative to the context, or absolute in the stage it copies from."""

    sources: tuple[str, ...]
    target: str
    from_stage: str | None


@dataclass
class Stage:
    """One stage of a build, as its instructions left it. Paths are absolute inside the image."""

    name: str
    copies: list[Copy] = field(default_factory=list)
    working_directory: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


_LEFT_OUT = frozenset(
    {"RUN", "ARG", "USER", "EXPOSE", "LABEL", "VOLUME", "STOPSIGNAL", "SHELL", "HEALTHCHECK"}
)


def read(text: str) -> list[Stage]:
    """The stages of a Dockerfile in order; the last one is the image.

    Raises:
        DockerfileError: for an instruction that changes the image's files or start in a way that is
            not followed here.
    """
    stages: list[Stage] = []
    for keyword, rest in _instructions(text):
        if keyword == "FROM":
            stages.append(_stage(rest, stages))
        elif stages and keyword not in _LEFT_OUT:
            _apply(stages[-1], keyword, rest)
    if not stages:
        raise DockerfileError("The Dockerfile has no FROM: add one, an image starts from a base.")
    return stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\\\s*\n", " ", "\n".join(_without_comments(text)))
    for line in joined.splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword:
            yield keyword.upper(), rest.strip()


def _without_comments(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _stage(rest: str, earlier: list[Stage]) -> Stage:
    words = [word for word in rest.split() if not word.startswith("--")]
    name = words[2] if len(words) > 2 and words[1].upper() == "AS" else str(len(earlier))
    base = next((stage for stage in earlier if stage.name == words[0]), None)
    if base is None:
        return Stage(name)
    return Stage(
        name,
        [Copy(("/",), "/", base.name)],
        base.working_directory,
        dict(base.environment),
        base.entry_point,
        base.command,
    )


def _apply(stage: Stage, keyword: str, rest: str) -> None:
    if keyword == "WORKDIR":
        stage.working_directory = _inside(stage, rest)
    elif keyword in ("COPY", "ADD"):
        stage.copies.append(_copy(stage, rest))
    elif keyword == "ENV":
        stage.environment |= _assignments(rest)
    elif keyword == "ENTRYPOINT":
        stage.entry_point, stage.command = _command_line(rest), ()
    elif keyword == "CMD":
        stage.command = _command_line(rest)
    else:
        raise DockerfileError(
            f"The Dockerfile instruction {keyword} {rest!r} is not followed by the local image store: "
            "do without it or teach local/dockerfile.py what it means."
        )


def _inside(stage: Stage, path: str) -> str:
    """An absolute path in the image. A trailing slash is kept: it tells a directory from a file."""
    absolute = str(PurePosixPath(stage.working_directory) / path)
    return absolute + "/" if path.endswith(("/", "/.")) or path == "." else absolute


def _copy(stage: Stage, rest: str) -> Copy:
    words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
    options = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
    *sources, target = [word for word in words if not word.startswith("--")]
    return Copy(tuple(sources), _inside(stage, target), options.get("from"))


def _assignments(rest: str) -> dict[str, str]:
    if "=" not in rest.split()[0]:
        name, _, value = rest.partition(" ")
        return {name: value.strip()}
    return dict(word.partition("=")[::2] for word in shlex.split(rest))


def _command_line(rest: str) -> tuple[str, ...]:
    """The exec form as it is, the shell form as the shell call Docker makes of it."""
    return tuple(json.loads(rest)) if rest.startswith("[") else ("/bin/sh", "-c", rest)
