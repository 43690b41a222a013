"""Wire formats of the model providers. Nothing outside this package knows them."""
