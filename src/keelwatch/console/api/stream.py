"""Answers that are streams of records, to clients that may read slowly, or not at all.

While a large answer is on its way it holds one of the store's few connections, so both a single
piece and the whole of it have to be taken in time; a follower that waits for news holds nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator

import anyio
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

NDJSON = "application/x-ndjson"

SEND_SECONDS = 30.0
"""For a piece: until the client has read so much that the next one fits into the buffers."""

HOLD_SECONDS = 180.0
"""For all that comes from one question to the store."""

_log = logging.getLogger(__name__)


class SlowReaderError(RuntimeError):
    """The client does not read what it asked for."""


class RecordStream(StreamingResponse):
    """NDJSON; it breaks off, so that the client sees that it is not whole, if the client is too slow."""

    media_type = NDJSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""

        async def bounded(message: Message) -> None:
            try:
                await asyncio.wait_for(send(message), SEND_SECONDS)
            except TimeoutError as error:
                raise SlowReaderError(f"did not read for {SEND_SECONDS:.0f} seconds") from error

        try:
            await super().__call__(scope, receive, bounded)
        except SlowReaderError as error:
            client = scope.get("client")
            _log.warning("broke off an answer to %s: %s", client[0] if client else "", error)

    async def stream_response(self, send: Send) -> None:
        """Send the answer, and let go of the store whatever happens."""
        try:
            await super().stream_response(send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close:
                with anyio.CancelScope(shield=True):
                    await close()


async def joined(blocks: Iterator[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What is stored, in time or not at all, and then what follows."""
    deadline = time.monotonic() + HOLD_SECONDS
    try:
        while block := await run_in_threadpool(next, blocks, b""):
            yield block
            if time.monotonic() > deadline:
                raise SlowReaderError(f"took more than {HOLD_SECONDS:.0f} seconds for one answer")
    finally:
        close = getattr(blocks, "close", None)
        if close:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(close)
    async for block in rest:
        yield block
