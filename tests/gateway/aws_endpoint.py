"""The AWS calls the gateway makes, answered on loopback: for gateways that run as a process of their own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

from aiohttp import web
from boto3.dynamodb.types import TypeSerializer

from gateway.control.registry import item_to_fields
from tests.gateway.stores import (
    ADMIN_KEY,
    CLIENT_KEY,
    FLAG_TABLE,
    FLAGS,
    ROUTE_SET,
    declared_models,
    declared_route_set,
    service_account_key,
)

_serializer = TypeSerializer()


def _scan() -> dict[str, object]:
    items = [item_to_fields(item) for item in declared_models()]
    encoded = [{name: _serializer.serialize(value) for name, value in item.items()} for item in items]
    return {"Items": encoded, "Count": len(encoded), "ScannedCount": len(encoded)}


class AwsEndpoint:
    """DynamoDB, SSM and Secrets Manager, read-only; the secrets' ARNs are their names."""

    def __init__(self, token_uri: str) -> None:
        account = {
            "client_email": "gateway@test.iam.gserviceaccount.com",
            "private_key": service_account_key(),
            "token_uri": token_uri,
        }
        self._scan = _scan()
        self._secrets: dict[str, object] = {
            "client": {"current": CLIENT_KEY, "previous": ""},
            "admin": {"current": ADMIN_KEY, "previous": ""},
            "google": account,
            "llama": {"api_key": "llama-key"},
        }
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        match request.headers["x-amz-target"].rpartition(".")[2]:
            case "Scan" if asked["TableName"] == FLAG_TABLE:
                told: dict[str, object] = {"Items": [], "Count": 0, "ScannedCount": 0}
            case "Scan":
                told = self._scan
            case "GetParameter":
                assert asked["Name"] == ROUTE_SET
                told = {"Parameter": {"Name": ROUTE_SET, "Value": json.dumps(declared_route_set())}}
            case "GetParametersByPath":
                told = {"Parameters": [{"Name": f"{FLAGS}/rollout-stage", "Value": "off"}]}
            case "GetSecretValue":
                told = {"SecretString": json.dumps(self._secrets[asked["SecretId"]])}
            case action:
                return web.json_response({"__type": "AccessDeniedException", "message": action}, status=400)
        return web.Response(body=json.dumps(told), content_type="application/x-amz-json-1.0")


@contextlib.asynccontextmanager
async def running_aws_endpoint(token_uri: str) -> AsyncIterator[AwsEndpoint]:
    """The endpoint on a free port."""
    endpoint = AwsEndpoint(token_uri)
    application = web.Application()
    application.router.add_post("/", endpoint.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    endpoint.url = f"http://{host}:{port}"
    try:
        yield endpoint
    finally:
        await runner.cleanup()
