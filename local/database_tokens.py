"""Judges passwords of Amazon RDS as RDS does: signed for this user of this database, by a known key, in time.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.html. The signature is
computed here from the published algorithm, not by the code that signed:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "rds-db"
LONGEST_LIFETIME_S = 900
CLOCK_SKEW = timedelta(minutes=5)
_SIGNATURE = "X-Amz-Signature"

SecretOf = Callable[[str, str | None], str | None]
"""The secret of an access key and the session token that comes with it; None where the two are nobody's."""


@dataclass(frozen=True, kw_only=True)
class TokenJudge:
    """What a token must be for: the endpoint that clients know the database by."""

    host: str
    port: int
    region: str
    secret_of: SecretOf
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def objection(self, token: str, user: str) -> str | None:
        """Why `token` does not open a connection for `user`; None where it does."""
        parts = urlsplit(f"https://{token}")
        if parts.netloc != f"{self.host}:{self.port}" or parts.path != "/":
            return f"it is for {parts.netloc or 'no endpoint'}, not for {self.host}:{self.port}"
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if (query.get("Action"), query.get("DBUser")) != ("connect", user):
            return f"it is not for connecting as {user}"
        return self._of_time(query) or self._of_signature(query, parts.netloc)

    def _of_time(self, query: dict[str, str]) -> str | None:
        try:
            signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            lifetime_s = int(query["X-Amz-Expires"])
        except (KeyError, ValueError):
            return "it does not say when it was signed, or how long it lives"
        now = self.clock()
        if not 0 < lifetime_s <= LONGEST_LIFETIME_S or signed_at > now + CLOCK_SKEW:
            return "its time of signing or its lifetime is not allowed"
        return "it has expired" if now >= signed_at + timedelta(seconds=lifetime_s) else None

    def _of_signature(self, query: dict[str, str], host: str) -> str | None:
        access_key, _slash, scope = query.get("X-Amz-Credential", "").partition("/")
        day = query["X-Amz-Date"][:8]
        if (
            scope != f"{day}/{self.region}/{SERVICE}/aws4_request"
            or query.get("X-Amz-Algorithm") != ALGORITHM
        ):
            return f"it is not signed for {SERVICE} in {self.region}"
        secret = self.secret_of(access_key, query.get("X-Amz-Security-Token"))
        if secret is None:
            return "nobody has the key it is signed with"
        unsigned = {name: value for name, value in query.items() if name != _SIGNATURE}
        signature = _signature(unsigned, host=host, scope=scope, secret=secret)
        same = hmac.compare_digest(signature, query.get(_SIGNATURE, ""))
        return None if same else "its signature is wrong"


def _signature(query: dict[str, str], *, host: str, scope: str, secret: str) -> str:
    canonical_query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items())
    )
    no_body = hashlib.sha256(b"").hexdigest()
    request = f"GET\n/\n{canonical_query}\nhost:{host}\n\nhost\n{no_body}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    hashed = hashlib.sha256(request.encode()).hexdigest()
    return _hmac(key, f"{ALGORITHM}\n{query['X-Amz-Date']}\n{scope}\n{hashed}").hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
