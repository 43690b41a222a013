"""Simulated model providers: Bedrock, Vertex AI and an OpenAI-compatible server in one process.

They speak the real wire formats, judged by botocore's service model and the vendors' SDK types, and
know nothing of the gateway: they are the independent judge of its adapters.
"""
