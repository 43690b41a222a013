"""A layer of installed Python distributions: their sources, copied at synthesis; no Docker, no compiler."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

_LEFT_OUT = (".pyc", ".pyi", ".pyx", ".pxd", ".so", ".c", ".h", ".typed")
"""What this machine compiled, and what only compilers and type checkers read."""

_OF_THE_DISTRIBUTION = ("METADATA",)
"""Of what a distribution says of itself: its version, and in `licenses` what its authors ask for."""


class PythonLayer(lambda_.LayerVersion):
    """The sources of `distributions`, which are named with all they depend on; a test holds that.

    Whatever has native parts must run without them: they would be this machine's, not Lambda's.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, description: str, distributions: Sequence[str]
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy_sources(distributions, Path(folder))
            super().__init__(
                scope,
                construct_id,
                description=description,
                # Copied by the CDK before this returns; the hash is that of names and contents.
                code=lambda_.Code.from_asset(folder),
                compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
            )


def copy_sources(distributions: Sequence[str], folder: Path) -> None:
    """Put the sources into `folder`/python, from where Lambda imports.

    Raises:
        importlib.metadata.PackageNotFoundError: one of them is not installed.
    """
    for name in distributions:
        installed = distribution(name)
        for file in _sources(installed):
            target = folder / "python" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)


def _sources(installed: Distribution) -> Iterator[PackagePath]:
    for file in installed.files or ():
        if ".." in file.parts or "__pycache__" in file.parts or file.suffix in _LEFT_OUT:
            continue
        about_itself = file.parts[0].endswith(".dist-info")
        if not about_itself or file.name in _OF_THE_DISTRIBUTION or "licenses" in file.parts:
            yield file
