"""What must never happen, whatever a request asks."""
