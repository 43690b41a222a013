"""Capacity: what a scaling section does under a given traffic, and what an environment costs.

`make plan ENV=production` simulates, `make costs` adds up. Nothing here talks to AWS.
"""
