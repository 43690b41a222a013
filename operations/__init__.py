"""The operators' command line: `python -m operations`, mostly by way of `make`."""
