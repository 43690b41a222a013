"""Builds the gateway's container image and its bill of materials: `make image`."""
