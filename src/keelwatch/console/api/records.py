"""The HTTP API: `/api/v1/...`, JSON and NDJSON. Documented in docs/reference/api.md and OpenAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Annotated, Any, cast

import orjson
from fastapi import Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from keelwatch.console.api.answers import (
    AlertRecord,
    ErrorAnswer,
    HistogramAnswer,
    StatusAnswer,
    WorkloadsAnswer,
)
from keelwatch.console.api.parameters import (
    ALERTS,
    AUDIT,
    COMMON,
    EVENTS,
    GAPS,
    LIFECYCLE,
    LOGS,
    TAIL,
    WORKLOADS,
    Reader,
    openapi,
)
from keelwatch.console.api.router import api_router, history_of
from keelwatch.console.api.stream import NDJSON, RecordStream, joined
from keelwatch.console.auth import ApiError
from keelwatch.console.history import Cursor, Record
from keelwatch.query import timeline
from keelwatch.query.filter import Filter

FOLLOW_SECONDS = 0.2
HEARTBEAT_SECONDS = 15.0
_BUFFERED = 5000


router = api_router("records")

Tail = Annotated[int, Depends(TAIL)]
Follow = Annotated[bool, Query(description="keep the answer open and send what arrives")]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {NDJSON: {}}, "description": "one object a line"}
}


_TABLES: dict[str, tuple[str, Reader]] = {
    "logs": ("Log lines", LOGS),
    "events": ("Events of processes and files", EVENTS),
    "alerts": ("Alerts", ALERTS),
    "lifecycle": ("Containers, agents and objects that came and went", LIFECYCLE),
    "gaps": ("What was not observed", GAPS),
    "audit": ("Requests to the API server", AUDIT),
}


def _serve(table: str, summary: str, reader: Reader) -> None:
    """Add `GET /table`: its records, oldest first."""

    async def get_records(
        request: Request,
        tail: Tail,
        wanted: Filter = Depends(reader),  # noqa: B008  # an annotation could not name the parameter `reader`
        follow: Follow = False,
    ) -> RecordStream:
        return await _records(request, table, wanted, tail, follow)

    router.add_api_route(
        f"/{table}",
        get_records,
        name=f"get_{table}",
        summary=summary,
        description=f"{summary}, oldest first.",
        responses=_STREAM,
        openapi_extra=openapi(table, tail=True),
    )


for _table, (_summary, _reader) in _TABLES.items():
    _serve(_table, _summary, _reader)


@router.get(
    "/timeline", summary="All records in one order", responses=_STREAM, openapi_extra=openapi("timeline")
)
async def get_timeline(
    request: Request,
    wanted: Annotated[Filter, Depends(COMMON)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Records of every kind, oldest first; `record` is log, event, alert, lifecycle, audit, access or gap."""
    history = history_of(request)
    cursor = history.cursor(timeline.tables_for(wanted))
    found = await run_in_threadpool(history.timeline, wanted, tail)
    rest = _following(request, wanted, cursor) if follow else _nothing()
    return RecordStream(joined(iter([_ndjson(found)]), rest))


@router.get("/alerts/{identifier}", summary="One alert", responses={404: {"model": ErrorAnswer}})
async def get_alert(request: Request, identifier: str) -> AlertRecord:
    """One alert with its whole story."""
    found = await run_in_threadpool(history_of(request).alert, identifier[:128])
    if found is None:
        raise ApiError(404, "not_found", "there is no alert with this id", "an alert's id is in its record")
    return cast(AlertRecord, found)


@router.get("/workloads", summary="Workloads and their instances", openapi_extra=openapi("workloads"))
async def get_workloads(request: Request, wanted: Annotated[Filter, Depends(WORKLOADS)]) -> WorkloadsAnswer:
    """Workloads, living and dead, the latest seen first."""
    found = await run_in_threadpool(history_of(request).workloads, wanted)
    return cast(WorkloadsAnswer, {"workloads": found})


@router.get("/histogram", summary="Log lines over time", openapi_extra=openapi("logs"))
async def get_histogram(
    request: Request,
    wanted: Annotated[Filter, Depends(LOGS)],
    buckets: Annotated[int, Query(ge=1, le=1000)] = 60,
) -> HistogramAnswer:
    """Counts of lines in equal steps; `step` is seconds."""
    return cast(HistogramAnswer, await run_in_threadpool(history_of(request).histogram, wanted, buckets))


@router.get("/status", summary="The hub, its store and its agents")
async def get_status(request: Request) -> StatusAnswer:
    """What the hub knows about itself."""
    return cast(StatusAnswer, await run_in_threadpool(history_of(request).status))


async def _records(request: Request, table: str, wanted: Filter, tail: int, follow: bool) -> RecordStream:
    """The first block is fetched before the answer begins, so that a wrong question gets its 400."""
    history = history_of(request)
    cursor = history.cursor((table,))
    blocks = history.lines(table, wanted, max(tail, 1))  # who wants none has still to be understood
    first = await run_in_threadpool(_first, blocks, tail)
    rest = _following(request, wanted, cursor) if follow else _nothing()
    return RecordStream(joined(first, rest))


def _first(blocks: Iterator[bytes], tail: int) -> Iterator[bytes]:
    """A short answer is read whole, so that a slow client does not keep a connection of the store."""
    if tail <= _BUFFERED:
        found = list(blocks)
        return iter(found if tail else [])
    head = next(blocks, b"")
    return _chain(head, blocks)


def _chain(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from blocks


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""  # makes this a generator


async def _following(request: Request, wanted: Filter, cursor: Cursor) -> AsyncIterator[bytes]:
    """Send what arrives; an empty line now and then tells that the connection lives."""
    history = history_of(request)
    asked = replace(wanted, since="", until="")  # what arrives now is wanted, whatever its time
    stopping: asyncio.Event = request.app.state.stopping
    silent = 0.0
    while not stopping.is_set():
        if history.has_news(cursor):
            found, cursor = await run_in_threadpool(history.news, asked, cursor)
            if found:
                yield _ndjson(found)
                silent = 0.0
        await asyncio.sleep(FOLLOW_SECONDS)
        silent += FOLLOW_SECONDS
        if silent >= HEARTBEAT_SECONDS:
            yield b"\n"
            silent = 0.0


def _ndjson(found: list[Record]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in found)
