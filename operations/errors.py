"""What ends a command: one line that names the thing, the reason and the remedy, and an exit status."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

DONE, REFUSED, MISUSED, UNREACHABLE = 0, 1, 2, 3
"""Exit statuses: done, nothing to object; refused or something found; a wrong argument; the account did not
answer or did not let us."""

_SIGN_IN = "sign in (aws sso login, AWS_PROFILE=…) with the account of this environment"
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    ProfileNotFound,
)
NO_ANSWER = (ConnectionError, HTTPClientError)
"""What botocore raises where a service cannot be reached, or does not answer in time."""

_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "AuthFailure",
        "RequestExpired",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "TooManyUpdates",
        "SlowDown",
    }
)


class OperationError(Exception):
    """A command that cannot do what it is asked; the text is all that the operator is shown."""

    def __init__(self, what: str, *, remedy: str, status: int = REFUSED) -> None:
        super().__init__(" ".join(f"{what}; {remedy}".split()))
        self.status = status


def explained(error: BotoCoreError | ClientError, environment: str) -> OperationError:
    """What a failed call to AWS means to an operator of `environment`."""
    if isinstance(error, ClientError):
        return _of_answer(error)
    if isinstance(error, _NO_CREDENTIALS):
        return OperationError(f"no AWS credentials: {error}", remedy=_SIGN_IN, status=UNREACHABLE)
    if isinstance(error, NO_ANSWER):
        remedy = "start it with make up" if environment == "local" else "check the network, then ask again"
        return OperationError(f"{environment} does not answer: {error}", remedy=remedy, status=UNREACHABLE)
    return OperationError(f"AWS could not be asked: {error}", remedy=_SIGN_IN, status=UNREACHABLE)


def _of_answer(error: ClientError) -> OperationError:
    told = error.response.get("Error", {})
    code, call = str(told.get("Code", "unknown")), error.operation_name
    if code in _BAD_CREDENTIALS:
        what, remedy = f"the AWS credentials are not accepted ({code})", _SIGN_IN
    elif code in _DENIED:
        what = f"{call} is denied: {told.get('Message', code)}"
        remedy = "use a role that may, or have the permission added to yours"
    elif code in _THROTTLED:
        what, remedy = f"AWS throttles {call} ({code})", "nothing is lost; ask again in a minute"
    else:
        what, remedy = f"{call} failed: {code}: {told.get('Message', '')}", "look at what it names, ask again"
    return OperationError(what, remedy=remedy, status=UNREACHABLE)
