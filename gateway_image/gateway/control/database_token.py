"""Passwords for Amazon RDS that the task role signs: each lives fifteen minutes and opens one connection.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_SIGNED_AS = "rds-db"
_LIFETIME_S = 900
_SCHEME = "https://"
"""Only for the signature; the token is what follows."""


def database_token(credentials: ReadOnlyCredentials, *, host: str, port: int, user: str, region: str) -> str:
    """A password with which `user` may connect to the database at `host` within fifteen minutes.

    The same as `generate_db_auth_token` of boto3's client for RDS, whose service model the image lacks.
    """
    request = AWSRequest(
        method="GET", url=f"{_SCHEME}{host}:{port}/?Action=connect&DBUser={quote(user, safe='')}"
    )
    SigV4QueryAuth(credentials, _SIGNED_AS, region, expires=_LIFETIME_S).add_auth(request)
    return str(request.url).removeprefix(_SCHEME)
