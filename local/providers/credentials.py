"""Whether a request carries the credentials its provider asks for.

Without known secrets the form is judged: a request must be signed, or carry a bearer key. Once an
access key, API key or service account is registered, signatures and keys must also be right.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import hmac
import re
import time
from urllib.parse import parse_qs

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.providers.exchange import KnownCredentials, Received, RefusalError
from local.providers.issued_keys import IssuedKeys

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/\s]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)"
    r"/bedrock/aws4_request,"
    r" ?SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_LARGEST_SKEW_S = 300
_AUDIENCE = "https://oauth2.googleapis.com/token"
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_PREFIX = "ya29.simulated."  # noqa: S105 - what every token begins with
_TOKEN_KEY = b"local simulation only"
"""Tokens outlive a restart of the simulation: they prove themselves and need no memory."""


def check_bedrock(request: Received, known: KnownCredentials, now_s: float) -> None:
    """Refuses what is neither signed with SigV4 nor carries a Bedrock API key."""
    authorization = request.headers.get("authorization", "")
    if authorization.startswith("Bearer ") and len(authorization) > len("Bearer "):
        return
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise RefusalError(403, "Missing Authentication Token", code="MissingAuthenticationTokenException")
    names = match["names"].split(";")
    stamp = request.headers.get("x-amz-date", "")
    if not {"host", "x-amz-date"} <= set(names) or stamp[:8] != match["day"]:
        raise RefusalError(403, "The signature is incomplete", code="IncompleteSignatureException")
    if abs(_seconds(stamp) - now_s) > _LARGEST_SKEW_S:
        raise RefusalError(403, f"Signature expired: {stamp}", code="InvalidSignatureException")
    secret = known.aws.get(match["key"])
    if (
        secret is not None
        and _signature(request, match["region"], names, match["key"], secret) != match["signature"]
    ):
        raise RefusalError(
            403,
            "The request signature we calculated does not match the signature you provided.",
            code="InvalidSignatureException",
        )


def key_id_of(request: Received, issued: IssuedKeys) -> str | None:
    """Id of the issued key behind a request's key or token; None where it was made elsewhere."""
    carried = bearer(request)
    if carried.startswith(_TOKEN_PREFIX):
        return carried.removeprefix(_TOKEN_PREFIX).partition(".")[0] or None
    made_here = issued.with_material(carried) if carried else None
    return made_here.id if made_here else None


def check_llama(request: Received, known: KnownCredentials, issued: IssuedKeys) -> None:
    """Refuses what carries no bearer key, one that is neither registered nor issued, or an ended one."""
    key = bearer(request)
    made_here = issued.with_material(key)
    is_known = bool(key) and (not known.llama or key in known.llama or made_here is not None)
    if not is_known or not issued.works(made_here.id if made_here else ""):
        raise RefusalError(401, "Incorrect API key provided.")


def check_google(request: Received, now_s: float, issued: IssuedKeys | None = None) -> str:
    """Id of the key that the access token was given for.

    Raises:
        RefusalError: there is no access token of this simulation, it has expired, or `issued` has a rule
            against tokens of its key.
    """
    key_id, _, rest = bearer(request).removeprefix(_TOKEN_PREFIX).partition(".")
    expiry, _, mark = rest.partition(".")
    is_ours = expiry.isdecimal() and hmac.compare_digest(mark, _mark(f"{key_id}.{expiry}"))
    is_ended = issued is not None and issued.rules.end_tokens and not issued.works(key_id)
    if not is_ours or int(expiry) <= now_s or is_ended:
        raise RefusalError(
            401, "Request had invalid authentication credentials. Expected OAuth 2 access token."
        )
    return key_id


def exchange_assertion(
    request: Received, known: KnownCredentials, now_s: float, lifetime_s: int, issued: IssuedKeys
) -> dict[str, object]:
    """The answer of the OAuth token endpoint to a service account's assertion.

    Raises:
        RefusalError: with OAuth's error code, where the assertion is not in order.
    """
    form = parse_qs(request.body.decode("ascii", "replace"))
    if form.get("grant_type") != [_GRANT_TYPE]:
        raise RefusalError(400, "Invalid grant_type", code="unsupported_grant_type")
    assertion = form.get("assertion", [""])[0]
    try:
        header, claims, signature = (_decoded(part) for part in assertion.split("."))
        _check_claims(msgspec.json.decode(header), msgspec.json.decode(claims), now_s)
        email = msgspec.json.decode(claims)["iss"]
        key_id = str(msgspec.json.decode(header).get("kid", ""))
    except (ValueError, TypeError, KeyError, binascii.Error, msgspec.MsgspecError) as error:
        raise RefusalError(400, f"Invalid JWT: {error}", code="invalid_grant") from None
    made_here = issued.living(key_id)
    public_key = made_here.material if made_here and made_here.material else known.google.get(email)
    is_signed = len(signature) >= 256 and _is_signed(public_key, assertion, signature)
    # Google words a deleted key as a wrong one.
    if not is_signed or not issued.works(key_id):
        raise RefusalError(400, "Invalid JWT Signature.", code="invalid_grant")
    issued.saw(email, key_id)
    expiry = str(int(now_s) + lifetime_s)
    token = f"{_TOKEN_PREFIX}{key_id}.{expiry}.{_mark(f'{key_id}.{expiry}')}"
    return {"access_token": token, "expires_in": lifetime_s, "token_type": "Bearer"}


def generated_service_account(token_uri: str) -> dict[str, str]:
    """A service-account key file as Google issues it, with a key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "simulated",
        "private_key_id": hashlib.sha256(pem).hexdigest()[:40],
        "private_key": pem.decode(),
        "client_email": "gateway@simulated.iam.gserviceaccount.com",
        "client_id": "100000000000000000000",
        "token_uri": token_uri,
    }


def _check_claims(header: dict[str, object], claims: dict[str, object], now_s: float) -> None:
    if header.get("alg") != "RS256" or header.get("typ") != "JWT":
        raise ValueError("alg must be RS256 and typ JWT")
    issued, expires = claims["iat"], claims["exp"]
    if not isinstance(issued, int) or not isinstance(expires, int):
        raise TypeError("iat and exp must be numbers")
    if issued > now_s + _LARGEST_SKEW_S or expires <= now_s or expires - issued > 3600:
        raise ValueError("Token must be a short-lived token (60 minutes) and in a reasonable timeframe")
    if claims["aud"] != _AUDIENCE:
        raise ValueError(f"aud must be {_AUDIENCE}")
    if "https://www.googleapis.com/auth/cloud-platform" not in str(claims["scope"]).split():
        raise ValueError("scope must hold cloud-platform")


def _is_signed(public_key: str | None, assertion: str, signature: bytes) -> bool:
    if public_key is None:
        return True
    key = serialization.load_pem_public_key(public_key.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, assertion.rsplit(".", 1)[0].encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _signature(request: Received, region: str, names: list[str], key: str, secret: str) -> str:
    """What botocore's signer makes of the request as it arrived."""
    headers = {name: request.headers.get(name, "") for name in names}
    signed = AWSRequest(
        request.method, request.url_origin + request.raw_path, headers=headers, data=request.body
    )
    signed.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(key, secret), "bedrock", region)
    return str(signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed))


def bearer(request: Received) -> str:
    """The key or token that a request carries; empty where it carries none."""
    return request.headers.get("authorization", "").removeprefix("Bearer ").strip()


def _mark(text: str) -> str:
    return hmac.new(_TOKEN_KEY, text.encode(), "sha256").hexdigest()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _seconds(stamp: str) -> int:
    try:
        return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return 0
