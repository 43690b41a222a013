"""Stands for the `docker` command where the CDK command line calls it (`CDK_DOCKER`).

Understands what that program sends: login, inspect, images, build, tag, push. A push registers the
image with the emulated ECR, so that the next deployment sees it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import stat
import sys
from pathlib import Path

import boto3

from local.dockerfile import DockerfileError
from local.image_store import Image, ImageError, ImageStore

STORE_VARIABLE = "IMAGE_STORE"
NOT_FOUND = 1
"""The exit status of `docker inspect` for an unknown image; the command line tells it from failure."""


def write_launcher(file: Path) -> Path:
    """Write the executable that `CDK_DOCKER` names; it needs no arguments of its own."""
    root = Path(__file__).parent.parent
    command = f"PYTHONPATH={shlex.quote(str(root))} exec {shlex.quote(sys.executable)} -m local.image_tool"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'#!/bin/sh\n{command} "$@"\n', encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def main(words: list[str]) -> int:
    """Run one command; the exit status is Docker's."""
    arguments = _parser().parse_args(words)
    store = ImageStore(Path(os.environ[STORE_VARIABLE]))
    try:
        return _run(arguments, store)
    except (ImageError, DockerfileError) as error:
        sys.stderr.write(f"{error}\n")
        return NOT_FOUND


def _run(arguments: argparse.Namespace, store: ImageStore) -> int:
    if arguments.command == "login":
        sys.stdin.read()  # the password; nothing here needs it
    elif arguments.command == "inspect":
        store.image(arguments.image)
    elif arguments.command == "build":
        store.build(Path(arguments.context), arguments.tag, arguments.file)
    elif arguments.command == "tag":
        store.tag(arguments.existing, arguments.new)
    elif arguments.command == "push":
        _register(store.image(arguments.image), arguments.image)
    return 0


def _register(image: Image, uri: str) -> None:
    """PutImage for `<registry>/<repository>:<tag>`."""
    repository, _, tag = uri.partition("/")[2].rpartition(":")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": f"sha256:{image.id}",
            "size": 0,
        },
        "layers": [],
    }
    boto3.client("ecr").put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="image_tool", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    login = commands.add_parser("login")
    login.add_argument("--username")
    login.add_argument("--password-stdin", action="store_true")
    login.add_argument("registry")
    commands.add_parser("inspect").add_argument("image")
    images = commands.add_parser("images")
    images.add_argument("--format")
    images.add_argument("--filter")
    build = commands.add_parser("build")
    build.add_argument("--tag", required=True)
    build.add_argument("--file", default="Dockerfile")
    for ignored in ("--platform", "--build-arg", "--target", "--network", "--output", "--cache-from"):
        build.add_argument(ignored, action="append")
    build.add_argument("context")
    tag = commands.add_parser("tag")
    tag.add_argument("existing")
    tag.add_argument("new")
    commands.add_parser("push").add_argument("image")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
