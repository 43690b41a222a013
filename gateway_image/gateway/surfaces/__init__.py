"""One thin adapter per protocol that callers speak."""
