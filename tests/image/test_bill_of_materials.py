"""The bill of materials lists what is in the image: no more, no less."""

from __future__ import annotations

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from packaging.utils import canonicalize_name

from image_build import bill_of_materials
from image_build.archive import ImageArchive
from tests.image import built

REQUIREMENTS = Path(__file__).parents[2] / "gateway_image/requirements.txt"


@pytest.fixture(scope="module")
def bill(image: ImageArchive) -> dict[str, Any]:
    assert image.file.exists()
    document: dict[str, Any] = json.loads(built.BILL.read_text())
    return document


def requirements() -> dict[str, tuple[str, set[str]]]:
    """Version and permitted hashes of every pin by its name."""
    entries = re.findall(
        r"^(\S+)==(\S+)((?: \\\n\s+--hash=sha256:\w+)+)", REQUIREMENTS.read_text(), re.MULTILINE
    )
    return {
        canonicalize_name(name): (version, set(re.findall(r"sha256:(\w+)", hashes)))
        for name, version, hashes in entries
    }


def components(bill: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    listed = {part["name"]: part for part in bill["components"] if part["purl"].startswith(f"pkg:{kind}/")}
    assert len(listed) == len(
        [part for part in bill["components"] if part["purl"].startswith(f"pkg:{kind}/")]
    )
    return listed


def test_every_requirement_is_listed_with_its_version_and_a_hash_it_permits(bill: dict[str, Any]) -> None:
    listed = components(bill, "pypi")
    pinned = requirements()
    assert {name: part["version"] for name, part in listed.items()} == {
        name: version for name, (version, _) in pinned.items()
    }
    for name, part in listed.items():
        (wheel,) = part["hashes"]
        assert wheel["alg"] == "SHA-256"
        assert wheel["content"] in pinned[name][1], f"{name} was installed from a wheel nobody pinned"


def test_no_python_code_is_installed_that_is_not_listed(bill: dict[str, Any], root: Path) -> None:
    records = {*root.rglob("*.dist-info"), *root.rglob("*.egg-info"), *root.rglob("*.egg")}
    names = {canonicalize_name(record.name.partition("-")[0]) for record in records}
    assert names == set(components(bill, "pypi"))
    libraries = re.compile(
        r"(usr(/local)?/lib/python3\.13|etc/python3\.13|opt/gateway/lib/python3\.13/site-packages|srv/gateway)/"
    )
    code = {str(path.relative_to(root)) for path in root.rglob("*.py")}
    assert {path for path in code if not libraries.match(path)} == set()


def test_the_debian_packages_behind_the_other_files_are_listed(bill: dict[str, Any], root: Path) -> None:
    listed = components(bill, "deb")
    assert {"libc6", "libssl3t64", "ca-certificates"} <= set(listed)
    assert set(listed) == {record.name for record in (root / "var/lib/dpkg/status.d").iterdir()}
    for part in listed.values():
        assert re.fullmatch(
            r"pkg:deb/debian/\S+@\S+\?arch=(amd64|arm64|all)&distro=debian-13\S*", part["purl"]
        )
    for name in listed:
        assert (root / "usr/share/doc" / name / "copyright").exists(), (
            f"{name} is shipped without its licence"
        )


def test_the_interpreter_is_listed(bill: dict[str, Any]) -> None:
    names = {part["name"] for part in bill["components"]}
    assert "python" in names or "python3.13-minimal" in names


def test_it_is_the_bill_of_this_very_image(
    bill: dict[str, Any], image: ImageArchive, root: Path, tmp_path: Path
) -> None:
    subject = bill["metadata"]["component"]
    assert subject["hashes"] == [{"alg": "SHA-256", "content": image.id}]
    bill_of_materials.write(image, root, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == built.BILL.read_bytes()


def test_it_is_valid_cyclonedx(bill: dict[str, Any]) -> None:
    schemas = importlib.resources.files("cyclonedx.schema") / "_res"

    def schema(name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((schemas / name).read_text(encoding="utf-8"))
        return document

    bill_schema = schema("bom-1.6.SNAPSHOT.schema.json")
    jsonschema_rs.validator_for(
        bill_schema, retriever=lambda address: schema(address.rpartition("/")[2])
    ).validate(bill)
