"""The HTTP API: `/api/v1/...`, JSON and NDJSON. Documented in docs/reference/api.md and OpenAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Annotated, Any, cast

import orjson
from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from keelwatch.console.answers import AlertRecord, ErrorAnswer, HistogramAnswer, StatusAnswer, WorkloadsAnswer
from keelwatch.console.auth import ApiError, Auth
from keelwatch.console.history import Cursor, History, Record
from keelwatch.console.parameters import (
    ALERTS,
    AUDIT,
    COMMON,
    EVENTS,
    GAPS,
    LIFECYCLE,
    LOGS,
    TAIL,
    WORKLOADS,
    openapi,
)
from keelwatch.console.stream import NDJSON, RecordStream, joined
from keelwatch.query import timeline
from keelwatch.query.filter import Filter

FOLLOW_SECONDS = 0.2
HEARTBEAT_SECONDS = 15.0
_BUFFERED = 5000


def _allowed(request: Request) -> None:
    auth: Auth = request.app.state.auth
    auth.require(request)


router = APIRouter(
    prefix="/api/v1",
    tags=["records"],
    dependencies=[Depends(_allowed)],
    responses={code: {"model": ErrorAnswer} for code in (400, 401, 403, 503)},
)

Tail = Annotated[int, Depends(TAIL)]
Follow = Annotated[bool, Query(description="keep the answer open and send what arrives")]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {NDJSON: {}}, "description": "one object a line"}
}


@router.get("/logs", summary="Log lines", responses=_STREAM, openapi_extra=openapi("logs", tail=True))
async def get_logs(
    request: Request,
    wanted: Annotated[Filter, Depends(LOGS)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Log lines, oldest first."""
    return await _records(request, "logs", wanted, tail, follow)


@router.get(
    "/events", summary="Runtime events", responses=_STREAM, openapi_extra=openapi("events", tail=True)
)
async def get_events(
    request: Request,
    wanted: Annotated[Filter, Depends(EVENTS)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Events of processes and files, oldest first."""
    return await _records(request, "events", wanted, tail, follow)


@router.get("/alerts", summary="Alerts", responses=_STREAM, openapi_extra=openapi("alerts", tail=True))
async def get_alerts(
    request: Request,
    wanted: Annotated[Filter, Depends(ALERTS)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Alerts, oldest first."""
    return await _records(request, "alerts", wanted, tail, follow)


@router.get(
    "/lifecycle",
    summary="Containers and agents that came and went",
    responses=_STREAM,
    openapi_extra=openapi("lifecycle", tail=True),
)
async def get_lifecycle(
    request: Request,
    wanted: Annotated[Filter, Depends(LIFECYCLE)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Lifecycle records, oldest first."""
    return await _records(request, "lifecycle", wanted, tail, follow)


@router.get(
    "/gaps", summary="What was not observed", responses=_STREAM, openapi_extra=openapi("gaps", tail=True)
)
async def get_gaps(
    request: Request,
    wanted: Annotated[Filter, Depends(GAPS)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Gaps, oldest first."""
    return await _records(request, "gaps", wanted, tail, follow)


@router.get(
    "/audit",
    summary="Requests to the API server",
    responses=_STREAM,
    openapi_extra=openapi("audit", tail=True),
)
async def get_audit(
    request: Request,
    wanted: Annotated[Filter, Depends(AUDIT)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Audit records, oldest first."""
    return await _records(request, "audit", wanted, tail, follow)


@router.get(
    "/timeline", summary="All records in one order", responses=_STREAM, openapi_extra=openapi("timeline")
)
async def get_timeline(
    request: Request,
    wanted: Annotated[Filter, Depends(COMMON)],
    tail: Tail,
    follow: Follow = False,
) -> RecordStream:
    """Records of every kind, oldest first; `record` is log, event, alert, lifecycle, audit or gap."""
    history = _history(request)
    cursor = history.cursor(timeline.tables_for(wanted))
    found = await run_in_threadpool(history.timeline, wanted, tail)
    rest = _following(request, wanted, cursor) if follow else _nothing()
    return RecordStream(joined(iter([_ndjson(found)]), rest))


@router.get("/alerts/{identifier}", summary="One alert", responses={404: {"model": ErrorAnswer}})
async def get_alert(request: Request, identifier: str) -> AlertRecord:
    """One alert with its whole story."""
    found = await run_in_threadpool(_history(request).alert, identifier[:128])
    if found is None:
        raise ApiError(404, "not_found", "there is no alert with this id", "an alert's id is in its record")
    return cast(AlertRecord, found)


@router.get("/workloads", summary="Workloads and their instances", openapi_extra=openapi("workloads"))
async def get_workloads(request: Request, wanted: Annotated[Filter, Depends(WORKLOADS)]) -> WorkloadsAnswer:
    """Workloads, living and dead, the latest seen first."""
    found = await run_in_threadpool(_history(request).workloads, wanted)
    return cast(WorkloadsAnswer, {"workloads": found})


@router.get("/histogram", summary="Log lines over time", openapi_extra=openapi("logs"))
async def get_histogram(
    request: Request,
    wanted: Annotated[Filter, Depends(LOGS)],
    buckets: Annotated[int, Query(ge=1, le=1000)] = 60,
) -> HistogramAnswer:
    """Counts of lines in equal steps; `step` is seconds."""
    return cast(HistogramAnswer, await run_in_threadpool(_history(request).histogram, wanted, buckets))


@router.get("/status", summary="The hub, its store and its agents")
async def get_status(request: Request) -> StatusAnswer:
    """What the hub knows about itself."""
    return cast(StatusAnswer, await run_in_threadpool(_history(request).status))


async def _records(request: Request, table: str, wanted: Filter, tail: int, follow: bool) -> RecordStream:
    """The first block is fetched before the answer begins, so that a wrong question gets its 400."""
    history = _history(request)
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
    history = _history(request)
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


def _history(request: Request) -> History:
    history: History = request.app.state.history
    return history
