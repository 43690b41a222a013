"""What operators change while the gateway runs."""
