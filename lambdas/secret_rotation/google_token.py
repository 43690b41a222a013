"""An access token from a service-account key: a signed assertion, exchanged at the key's `token_uri`.

OAuth 2.0 for service accounts, RFC 7523.
"""

from __future__ import annotations

import base64
import http.client
import json
from urllib.parse import urlencode

from lambdas.secret_rotation.document import Document, text_in
from lambdas.secret_rotation.http_call import (
    Request,
    Send,
    providers_are_simulated,
    refusal,
    refuse_insecure,
)
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.rsa_signature import PrivateKey, parse_private_key

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Always this, wherever the request is sent ("Using OAuth 2.0 for server to server applications", Google)."""
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFETIME_S = 600

_WHAT = "Google's token endpoint"
_GOOGLE = ".googleapis.com"


def access_token(account: Document, what: str, *, send: Send, now_s: float) -> str:
    """A token that acts for the service account.

    Raises:
        RotationError: the key is unusable, or its exchange is refused. `what` says whose key it is.
    """
    token_uri = text_in(account, "token_uri", what)
    _refuse_elsewhere(token_uri, f"`token_uri` of {what}")
    form = urlencode({"grant_type": GRANT_TYPE, "assertion": assertion(account, what, now_s)})
    reply = send(
        Request(
            method="POST",
            url=token_uri,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=form.encode(),
        )
    )
    if reply.status != http.client.OK:
        raise refusal(f"{_WHAT}, asked with {what},", reply)
    return text_in(reply.document(_WHAT), "access_token", f"the answer of {_WHAT}")


def _refuse_elsewhere(token_uri: str, what: str) -> None:
    """Whoever may put a secret must not thereby choose whom this function talks to."""
    host = refuse_insecure(token_uri, what).hostname or ""
    if not host.endswith(_GOOGLE) and not providers_are_simulated():
        raise RotationError(f"{what} is no address below {_GOOGLE[1:]}; put the key file as Google issues it")


def assertion(account: Document, what: str, now_s: float) -> str:
    """The JSON Web Token in which the account asks for itself, signed with RS256.

    Raises:
        RotationError: a member is missing, or the private key is unusable.
    """
    key: PrivateKey = parse_private_key(text_in(account, "private_key", what))
    header = {"alg": "RS256", "typ": "JWT", "kid": text_in(account, "private_key_id", what)}
    claims = {
        "iss": text_in(account, "client_email", what),
        "scope": SCOPE,
        "aud": AUDIENCE,
        "iat": int(now_s),
        "exp": int(now_s) + ASSERTION_LIFETIME_S,
    }
    signing_input = f"{_base64url(json.dumps(header).encode())}.{_base64url(json.dumps(claims).encode())}"
    return f"{signing_input}.{_base64url(key.sign(signing_input.encode()))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
