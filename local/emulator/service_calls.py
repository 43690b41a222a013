"""Calls the emulator's own service APIs from inside its process.

A CloudFormation handler runs on the emulator's event loop, so it cannot send HTTP to the server it
is part of. Instead the request is serialised with botocore's model of the service, handed to the
service's request function, and the response parsed with the same model: a handler reads like a
client and cannot send what AWS would not understand.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
from botocore.model import ServiceModel, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import validate_parameters

_MODULES = {"wafv2": "waf"}
"""Services whose module of the emulator is named otherwise."""


class ServiceCallError(ValueError):
    """An emulated service refused a call; the text names service, operation, code and message."""


def call(service: str, operation: str, **parameters: object) -> dict[str, Any]:
    """Run one operation of an emulated service and return its parsed output.

    `service` is botocore's name of it. Parameters that are None are left out, as in a template that
    does not set them.

    Raises:
        ServiceCallError: the service answered with an error.
        botocore.exceptions.ParamValidationError: the parameters do not fit the service's model.
    """
    model = _service_model(service)
    operation_model = model.operation_model(operation)
    given = {name: value for name, value in parameters.items() if value is not None}
    if operation_model.input_shape is not None:
        validate_parameters(given, operation_model.input_shape)
    request = create_serializer(model.metadata["protocol"]).serialize_to_request(given, operation_model)
    status, headers, body = _finish(_request_function(service)(*_wire_form(request)))
    response = {"status_code": status, "headers": dict(headers), "body": _as_bytes(body)}
    parsed = create_parser(model.metadata["protocol"]).parse(
        response, operation_model.output_shape or StructureShape("Nothing", {"type": "structure"})
    )
    if status >= 400:
        error = parsed.get("Error", {})
        raise ServiceCallError(
            f"{service} {operation}: {error.get('Code', status)}: {error.get('Message', body)}"
        )
    return dict(parsed)


@cache
def _service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def _request_function(service: str) -> Any:  # noqa: ANN401  (the emulator is untyped)
    module = _MODULES.get(service, service)
    return importlib.import_module(f"ministack.services.{module}").handle_request


def _wire_form(request: dict[str, Any]) -> tuple[str, str, dict[str, str], bytes, dict[str, list[str]]]:
    """The request as the emulator's router hands it over: method, path, headers, body, query."""
    path = request["url_path"]
    query = {name: [str(value)] for name, value in (request.get("query_string") or {}).items()}
    query |= parse_qs(urlsplit(path).query)
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = request["body"]
    if isinstance(body, dict):
        query |= {name: [str(value)] for name, value in body.items()}
        body = b""
    return request["method"], urlsplit(path).path, headers, _as_bytes(body), query


def _as_bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return str(body or "").encode()


def _finish(result: object) -> tuple[int, dict[str, str], object]:
    """Finish a service's coroutine while the server's own loop stands still.

    The coroutine gets a loop and a thread of its own, and the caller's context, which carries the
    account and the region the services scope their state by.
    """
    if not inspect.iscoroutine(result):
        return result  # type: ignore[return-value]
    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as thread:
        answer: tuple[int, dict[str, str], object] = thread.submit(context.run, asyncio.run, result).result()
    return answer
