"""Where Suricata is missing the flows are not judged; continuous integration must not get away with that."""

import os

import pytest

from tests.egress.engine import why_missing


def test_continuous_integration_has_suricata() -> None:
    reason = why_missing()
    if os.environ.get("CI") == "true":
        assert reason is None, reason
    elif reason is not None:
        pytest.skip(reason)
