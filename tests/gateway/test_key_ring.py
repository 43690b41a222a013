"""Which keys are accepted, and that the time it takes to tell says nothing about them."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from gateway.control.secrets import KeyRing


def test_the_current_and_the_previous_key_are_accepted_and_no_other() -> None:
    ring = KeyRing(("new", "old"))
    assert ring.accepts("new")
    assert ring.accepts("old")
    assert not any(ring.accepts(wrong) for wrong in ("", "ne", "newer", "New", "newold"))


@pytest.mark.parametrize("presented", ["new", "old", "wrong"])
def test_every_key_is_compared_in_constant_time_whichever_is_presented(
    monkeypatch: pytest.MonkeyPatch, presented: str
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare_digest = hmac.compare_digest

    def compare(presented_digest: bytes, known: bytes) -> bool:
        compared.append((presented_digest, known))
        return compare_digest(presented_digest, known)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    KeyRing(("new", "old")).accepts(presented)
    digests = [hashlib.sha256(key.encode()).digest() for key in (presented, "new", "old")]
    assert compared == [(digests[0], digests[1]), (digests[0], digests[2])], (
        "keys are not all compared by hmac.compare_digest, so the time of an answer tells about them"
    )
