"""The roots of Amazon RDS: those of every region that may have a database, and none about to expire."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.control.database_connection import RDS_ROOTS
from lambdas import database_connection
from stacks.settings_flags import REGIONS_WITH_ROOTS


def certificates() -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(RDS_ROOTS.read_bytes())


def subject(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def test_none_expires_within_a_year() -> None:
    soon = datetime.now(UTC) + timedelta(days=366)
    assert [subject(one) for one in certificates() if one.not_valid_after_utc < soon] == []


def test_each_is_an_authority_that_signed_itself() -> None:
    for one in certificates():
        one.verify_directly_issued_by(one)
        constraints = one.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = one.extensions.get_extension_for_class(x509.KeyUsage)
        assert constraints.critical
        assert constraints.value.ca
        assert usage.value.key_cert_sign


def test_each_region_that_may_have_a_database_has_its_three() -> None:
    kinds = ("ECC384", "RSA2048", "RSA4096")
    wanted = {f"Amazon RDS {region} Root CA {kind} G1" for region in REGIONS_WITH_ROOTS for kind in kinds}
    assert {subject(one) for one in certificates()} == wanted


def test_the_file_says_what_is_in_it() -> None:
    said = re.findall(r"# (Amazon RDS .*), until (\S+)\n# SHA-256 ([0-9a-f]{64})\n", RDS_ROOTS.read_text())
    assert said == [
        (subject(one), str(one.not_valid_after_utc.date()), one.fingerprint(hashes.SHA256()).hex())
        for one in certificates()
    ]


def test_they_can_be_loaded_where_certificates_are_read_strictly() -> None:
    context = ssl.create_default_context(cafile=str(RDS_ROOTS))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert len(context.get_ca_certs()) == len(certificates())


def test_gateway_and_functions_trust_the_same() -> None:
    assert RDS_ROOTS.samefile(database_connection.RDS_ROOTS)
