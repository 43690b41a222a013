"""Makes a pending version the current one: only after its test, and only if nothing newer was put."""

from __future__ import annotations

from lambdas.secret_rotation.document import Document
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.provider_cleanup import end_previous
from lambdas.secret_rotation.records import current_since_s, write_promoted
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.scope import Scope
from lambdas.secret_rotation.stored_secret import Description, StoredSecret, Version
from lambdas.secret_rotation.strategy import Strategy
from lambdas.secret_rotation.vault import PENDING


def is_overtaken(pending: Version, current: Version, described: Description) -> bool:
    """Whether somebody put a current value after the pending one was made: theirs stays."""
    return pending.created_at_s < current_since_s(described, current)


def judge(
    pending: Version,
    current: Version,
    described: Description,
    *,
    strategy: Strategy,
    scope: Scope,
    patience: Patience,
) -> Document:
    """The pending document, if it may be promoted.

    Raises:
        RotationError: it may not.
    """
    if is_overtaken(pending, current, described):
        raise RotationError("the current value was put after the pending one was made, and stays")
    document, in_force = pending.document("the pending value"), current.document("the current value")
    scope.refuse_foreign(document, "the pending value")
    scope.refuse_foreign(in_force, "the current value")
    strategy.test(document, in_force, patience)
    return document


def promote(
    secret: StoredSecret,
    pending: Version,
    current: Version,
    described: Description,
    *,
    strategy: Strategy,
    scope: Scope,
    patience: Patience,
) -> None:
    """Test the pending version here, whatever was tested before, and make it the current one.

    The key that AWSPREVIOUS carries loses its label by this, so it ends now, even within its grace period.

    Raises:
        RotationError: it may not be promoted; nothing has changed.
    """
    document = judge(pending, current, described, strategy=strategy, scope=scope, patience=patience)
    if strategy.provider_keys is not None:
        end_previous(secret, strategy.provider_keys, described, current, successor=document)
    write_promoted(secret, pending.id, patience.now_s())
    secret.replace_current(by=pending.id, instead_of=current.id)
    secret.take_off(PENDING, pending.id)
