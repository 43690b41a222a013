"""Whether an API key works, as its endpoint sees it."""

from __future__ import annotations

import http.client

from lambdas.secret_rotation.http_call import Request, Send, bearer, refusal


def try_api_key(send: Send, test_url: str, api_key: str) -> None:
    """Ask something cheap with the key.

    Raises:
        RotationError: the endpoint does not answer 200.
    """
    reply = send(Request(method="GET", url=test_url, headers=bearer(api_key)))
    if reply.status != http.client.OK:
        raise refusal("the test of the pending key", reply)
