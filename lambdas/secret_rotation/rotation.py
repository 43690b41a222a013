"""The four steps of a rotation, each of which may be run again from anywhere.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lambdas.secret_rotation.document import Document
from lambdas.secret_rotation.patience import Patience
from lambdas.secret_rotation.promotion import judge, promote
from lambdas.secret_rotation.provider_cleanup import end_orphans
from lambdas.secret_rotation.records import open_start, write_start
from lambdas.secret_rotation.refusal import RotationError
from lambdas.secret_rotation.scope import Scope
from lambdas.secret_rotation.stored_secret import Description, StoredSecret, Version
from lambdas.secret_rotation.strategy import ProviderKeys, Strategy
from lambdas.secret_rotation.vault import CURRENT, PENDING


class Rotation:
    """One rotation of one secret: the one that is to end with `version_id` in force."""

    def __init__(
        self, secret: StoredSecret, version_id: str, *, strategy: Strategy, scope: Scope, patience: Patience
    ) -> None:
        self._secret = secret
        self._version_id = version_id
        self._strategy = strategy
        self._scope = scope
        self._patience = patience

    def run(self, step: str) -> str:
        """Take one of `STEPS`; what came of it.

        Raises:
            RotationError: it cannot be taken, or the rotation is not one that is under way.
        """
        described = self._secret.describe()
        labels = described.labels.get(self._version_id)
        if described.rotation_is_off:
            raise RotationError("rotation is off for this secret; turn it on")
        if labels is None:
            raise RotationError("the secret has no such version; start a rotation")
        if CURRENT in labels:
            return self._done(step, labels)
        if PENDING not in labels:
            raise RotationError("the version is not AWSPENDING: its rotation was given up; start another")
        return STEPS[step](self, described)

    def _done(self, step: str, labels: frozenset[str]) -> str:
        if step == "finishSecret" and PENDING in labels:
            self._secret.take_off(PENDING, self._version_id)
            return "took off the last label"
        return "is current already"

    def create(self, described: Description) -> str:
        """Make a value for the version, unless it has one."""
        if self._secret.version(self._version_id) is not None:
            return "has a value already"
        current = self._secret.current(described).document("the current value")
        self._scope.refuse_foreign(current, "the current value")
        if self._strategy.provider_keys is not None:
            self._prepare(self._strategy.provider_keys, current, described)
        document = self._strategy.new_document(current, self._version_id)
        self._secret.put(self._version_id, self._scope.stamped_on(document), PENDING)
        return "made a value"

    def _prepare(self, keys: ProviderKeys, current: Document, described: Description) -> None:
        """End what an attempt before has left, and write down what the provider holds.

        Whoever breaks off between the provider's answer and PutSecretValue leaves a key that nobody knows.
        """
        start = open_start(described)
        key_ids = keys.ids(current)
        if start is not None:
            end_orphans(self._secret, keys, current, described, start, key_ids)
            key_ids = keys.ids(current)
        account = keys.account(current)
        write_start(self._secret, self._version_id, account, key_ids, self._patience.now_s())

    def set(self, described: Description) -> str:  # noqa: ARG002
        """Nothing: a provider knows the key that it made, and the gateway reads its own from here."""
        return "nothing to set"

    def test(self, described: Description) -> str:
        """Whether the pending value may be promoted.

        RotateSecret with RotateImmediately=false calls this step alone, with a version that has a copy of the
        current value or none. Nothing is promoted after it: `finish` wants a value.
        """
        pending, current = self._secret.version(self._version_id), self._secret.current(described)
        if pending is None:
            return self._rehearse(described)
        if pending.text == current.text:
            return "nothing new to test"
        judge(
            pending,
            current,
            described,
            strategy=self._strategy,
            scope=self._scope,
            patience=self._patience,
        )
        return "passed"

    def _rehearse(self, described: Description) -> str:
        start = open_start(described)
        if start is not None and start.version_id == self._version_id:
            raise RotationError("createSecret broke off before the pending version had a value; repeat it")
        return "nothing to test: no createSecret was for this version"

    def finish(self, described: Description) -> str:
        """Promote the pending value, which is tested once more."""
        pending, current = self._pending(), self._secret.current(described)
        promote(
            self._secret,
            pending,
            current,
            described,
            strategy=self._strategy,
            scope=self._scope,
            patience=self._patience,
        )
        return "promoted"

    def _pending(self) -> Version:
        version = self._secret.version(self._version_id)
        if version is None:
            raise RotationError("the pending version has no value yet; createSecret comes first")
        return version


STEPS: Final[Mapping[str, Callable[[Rotation, Description], str]]] = {
    "createSecret": Rotation.create,
    "setSecret": Rotation.set,
    "testSecret": Rotation.test,
    "finishSecret": Rotation.finish,
}
