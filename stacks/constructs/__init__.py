"""Constructs the stacks are wired from, one concept a module."""
