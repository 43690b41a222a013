"""The image's bill of materials, read from the files that are in it: CycloneDX 1.6, https://cyclonedx.org.

Python distributions with the hash of the wheel each was installed from, the Debian packages that own
the remaining files, and the interpreter where no package owns it.
"""

from __future__ import annotations

import datetime
import email.parser
import importlib.metadata
import uuid
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name, parse_wheel_filename

from image_build.archive import ImageArchive
from image_build.tools import NAME

ENVIRONMENT = "opt/gateway"
"""Where the image's virtual environment lies."""

WHEEL_HASHES = f"{ENVIRONMENT}/wheels.sha256"
DEBIAN_RECORDS = "var/lib/dpkg/status.d"
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's for addresses


def write(image: ImageArchive, root: Path, file: Path) -> Bom:
    """Write the bill of the image whose files lie below `root`; the same image gives the same bytes."""
    bill = describe(image, root)
    file.write_text(JsonV1Dot6(bill).output_as_string(indent=1) + "\n", encoding="utf-8")
    return bill


def describe(image: ImageArchive, root: Path) -> Bom:
    """The bill of the image whose files lie below `root`."""
    subject = Component(
        name=NAME,
        version=image.id,
        type=ComponentType.CONTAINER,
        bom_ref=NAME,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image.id)],
    )
    parts = [*python_distributions(root), *debian_packages(root), *interpreter(root)]
    bill = Bom(
        components=parts,
        serial_number=uuid.uuid5(_NAMESPACE, f"{NAME}@sha256:{image.id}"),
        metadata=BomMetaData(
            component=subject,
            timestamp=datetime.datetime.fromisoformat(image.created.partition(".")[0].rstrip("Z") + "+00:00"),
        ),
    )
    bill.register_dependency(subject, parts)
    return bill


def python_distributions(root: Path) -> Iterator[Component]:
    """Every installed distribution of the image, wherever it lies."""
    hashes = wheel_hashes(root)
    for folder in sorted({record.parent for record in root.rglob("*.dist-info")}):
        for distribution in importlib.metadata.distributions(path=[str(folder)]):
            name = canonicalize_name(distribution.name)
            purl = PackageURL("pypi", name=name, version=distribution.version)
            expression = distribution.metadata.json.get("license_expression")
            yield Component(
                name=name,
                version=distribution.version,
                bom_ref=str(purl),
                purl=purl,
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashes[name])] if name in hashes else [],
                licenses=[LicenseFactory().make_from_string(str(expression))] if expression else [],
            )


def wheel_hashes(root: Path) -> dict[str, str]:
    """The SHA-256 of the wheel every distribution was installed from, by its normalised name."""
    lines = (root / WHEEL_HASHES).read_text(encoding="utf-8").splitlines()
    entries = (line.split() for line in lines)
    return {str(parse_wheel_filename(Path(wheel).name)[0]): digest for digest, wheel in entries}


def debian_packages(root: Path) -> Iterator[Component]:
    """The Debian packages that own a file of the image."""
    release = _release(root)
    for record in sorted((root / DEBIAN_RECORDS).iterdir()):
        fields = email.parser.Parser().parsestr(record.read_text(encoding="utf-8"))
        name, version = fields["Package"], fields["Version"]
        qualifiers = {"arch": fields["Architecture"], "distro": release}
        purl = PackageURL("deb", "debian", name, version, qualifiers)
        yield Component(name=name, version=version, bom_ref=str(purl), purl=purl)


def interpreter(root: Path) -> Iterator[Component]:
    """Python itself, where it does not come as a Debian package."""
    if any((root / DEBIAN_RECORDS).glob("python3.*-minimal")):
        return
    lines = (root / ENVIRONMENT / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    version = dict(line.split(" = ", 1) for line in lines)["version"]
    purl = PackageURL("generic", name="python", version=version)
    yield Component(name="python", version=version, type=ComponentType.PLATFORM, bom_ref=str(purl), purl=purl)


def _release(root: Path) -> str:
    lines = (root / "etc/debian_version").read_text(encoding="utf-8").splitlines()
    return f"debian-{lines[0]}"
