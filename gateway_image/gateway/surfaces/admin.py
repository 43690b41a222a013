"""The administrators' surface: registering a version of a model."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from gateway.control.registry import RegistryItem, RegistryView, VersionConflictError
from gateway.control.snapshot import Snapshot
from gateway.failures import Reason, RefusalError
from gateway.pipeline import Access
from gateway.surfaces.chat_request import decode_body
from gateway.surfaces.messages import Endpoint, Incoming, Outgoing, Routes, json_answer

_decoder = msgspec.json.Decoder(RegistryItem)
logger = logging.getLogger(__name__)


class Registry(Protocol):
    """Where versions are stored; `RegistryTable` outside of tests. `put` blocks."""

    def put(self, item: RegistryItem) -> bool:
        """Store `item`; True where it is new. Raises `VersionConflictError`."""
        ...


class AdminSurface:
    """`PUT /v1/admin/models`: 201 for a new version, 200 for one that exists just so, else 409."""

    def __init__(self, registry: Registry, snapshot: Snapshot[RegistryView]) -> None:
        self._registry = registry
        self._snapshot = snapshot

    def routes(self) -> Routes:
        """The path of this surface."""
        return {"/v1/admin/models": {"PUT": Endpoint("admin_models", self.put_model, Access.ADMIN)}}

    async def put_model(self, incoming: Incoming) -> Outgoing:
        """Register a version; this replica knows it before it answers, the others at their next refresh."""
        item = decode_body(incoming.body, _decoder)
        try:
            created = await asyncio.to_thread(self._registry.put, item)
        except VersionConflictError as conflict:
            raise RefusalError(Reason.VERSION_CONFLICT, f"{conflict}.", parameter="version") from None
        except (BotoCoreError, ClientError) as error:
            logger.warning("registry not written", extra={"problem": str(error)})
            raise RefusalError(
                Reason.STORE_UNAVAILABLE, "The registry cannot be written at present."
            ) from None
        await asyncio.to_thread(self._snapshot.refresh)
        return json_answer(
            {"key": item.key, "version": item.version, "created": created}, 201 if created else 200
        )
