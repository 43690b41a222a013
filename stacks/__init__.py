"""What is deployed: the typed environments and one module per stack."""
