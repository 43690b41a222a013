"""RS256 from a PEM key: the same signature that `cryptography` makes, or a refusal that repeats nothing."""

import random

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.rsa_signature import PrivateKey, parse_private_key

PKCS8, PKCS1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
KEYS = {bits: rsa.generate_private_key(public_exponent=65537, key_size=bits) for bits in (1024, 2048, 2056)}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> str:
    encoded = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return encoded.decode()


@pytest.mark.parametrize("form", [PKCS8, PKCS1])
@pytest.mark.parametrize("bits", KEYS)
def test_a_signature_is_the_one_that_cryptography_makes(bits: int, form: serialization.PrivateFormat) -> None:
    key = parse_private_key(pem(KEYS[bits], form))
    for message in (b"", b"a", bytes(range(256)) * 40):
        assert key.sign(message) == KEYS[bits].sign(message, padding.PKCS1v15(), hashes.SHA256())


def test_a_key_is_read_whatever_its_line_ends() -> None:
    text = "\r\n" + pem(KEYS[1024], PKCS8).replace("\n", "\r\n") + "  \n"
    assert parse_private_key(text).sign(b"m") == parse_private_key(pem(KEYS[1024], PKCS8)).sign(b"m")


def test_a_signature_is_blinded(monkeypatch: pytest.MonkeyPatch) -> None:
    bases: list[int] = []
    root = PrivateKey._root

    def recorded(key: PrivateKey, base: int) -> int:
        bases.append(base)
        return root(key, base)

    monkeypatch.setattr(PrivateKey, "_root", recorded)
    key = parse_private_key(pem(KEYS[1024], PKCS8))
    assert key.sign(b"the same") == key.sign(b"the same")
    assert len(set(bases)) == 2


@pytest.mark.parametrize("member", ["d_p", "d_q", "q_inv"])
def test_a_wrong_half_gives_no_signature_away(member: str) -> None:
    key = parse_private_key(pem(KEYS[1024], PKCS8))
    object.__setattr__(key, member, getattr(key, member) + 2)
    with pytest.raises(RotationError, match="does not verify"):
        key.sign(b"m")


UNUSABLE = {
    "empty": "",
    "no PEM": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
    "another curve": pem(ec.generate_private_key(ec.SECP256R1()), PKCS8),
    "encrypted": KEYS[1024]
    .private_bytes(serialization.Encoding.PEM, PKCS8, serialization.BestAvailableEncryption(b"x"))
    .decode(),
    "other ends": pem(KEYS[1024], PKCS8).replace("END PRIVATE", "END RSA PRIVATE"),
    "no DER": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_is_no_rsa_key_is_refused(what: str) -> None:
    with pytest.raises(RotationError, match="`private_key` is no"):
        parse_private_key(UNUSABLE[what])


def test_a_damaged_key_is_refused_and_not_repeated() -> None:
    whole = pem(KEYS[1024], PKCS8)
    chance = random.Random(4)  # noqa: S311
    for _ in range(300):
        lines = whole.splitlines()
        row = chance.randrange(1, len(lines) - 1)
        column = chance.randrange(len(lines[row]))
        damaged = lines[row][:column] + chance.choice("ABCD+/=z09") + lines[row][column + 1 :]
        lines[row] = chance.choice((damaged, "", lines[row][:column]))
        signature, reason = sign_or_reason("\n".join(lines))
        assert not any(line in reason for line in lines[1:-1] if len(line) > 8)
        assert reason or signature == KEYS[1024].sign(b"m", padding.PKCS1v15(), hashes.SHA256())


def sign_or_reason(text: str) -> tuple[bytes, str]:
    try:
        return parse_private_key(text).sign(b"m"), ""
    except RotationError as error:
        return b"", str(error)


def test_nothing_of_a_key_is_shown() -> None:
    key = parse_private_key(pem(KEYS[1024], PKCS8))
    assert str(key.p) not in repr(key)
