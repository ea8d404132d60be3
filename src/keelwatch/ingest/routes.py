"""The two requests of agents: send batches, and ask what is stored.

`POST /v1/batches` takes concatenated frames of one spool (model.batch) and answers when they are
durable. `GET /v1/spools/{spool}` tells the highest stored sequence number by table.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from keelwatch.ingest import metrics
from keelwatch.ingest.agents import ForeignError, ImpostorError
from keelwatch.ingest.auth import Principal
from keelwatch.ingest.body import announced, read_body, refused
from keelwatch.ingest.clocks import HEADER
from keelwatch.ingest.dedupe import Waiting
from keelwatch.ingest.gate import admit, refuse_other_node
from keelwatch.ingest.intake import Intake, OverloadedError
from keelwatch.ingest.unpack import MAX_REQUEST, RejectedError
from keelwatch.ingest.writer import StoreUnavailableError
from keelwatch.kit import faults

# Not the threads of those who read: their questions may take all of them.
_threads = ThreadPoolExecutor(8, thread_name_prefix="intake")

router = APIRouter(prefix="/v1", include_in_schema=True, tags=["agents"])


@router.post("/batches", summary="Store batches of one spool", response_model=None)
async def post_batches(request: Request) -> JSONResponse:
    """Answer 200 when all frames of the body are durable."""
    received = time.time_ns()
    who = await admit(request)
    if isinstance(who, JSONResponse):
        return who
    intake: Intake = request.app.state.intake
    size = announced(request, MAX_REQUEST)
    if size > MAX_REQUEST:
        return _too_large()
    try:
        intake.reserve(size)
    except OverloadedError as error:
        return _later(str(error), error.seconds)
    try:
        return await _take(request, intake, size, who, received)
    finally:
        intake.release(size)


@router.get("/spools/{spool}", summary="What is stored of a spool", response_model=None)
async def get_spool(spool: str, request: Request) -> JSONResponse:
    """Answer the highest stored sequence number by table."""
    received = time.time_ns()
    who = await admit(request)
    if isinstance(who, JSONResponse):
        return who
    intake: Intake = request.app.state.intake
    owner = intake.agents.node_of(spool) or who.node
    if refusal := refuse_other_node(request, who, owner, "a question about a spool"):
        return refusal
    intake.clocks.heard(owner, request.headers.get(HEADER, ""), received)
    intake.agents.asked(spool, _address(request))
    return JSONResponse({"stored": intake.stored(spool)})


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _take(request: Request, intake: Intake, size: int, who: Principal, received: int) -> JSONResponse:
    body = await read_body(request, size)
    if body is None:
        return _too_large()
    try:
        loop = asyncio.get_running_loop()
        waiting = await loop.run_in_executor(_threads, intake.accept, body, _address(request), who.node)
    except RejectedError as error:
        return _rejected(error)
    except ImpostorError as error:
        refuse_other_node(request, who, error.claimed, "batches")
        return refused(403, str(error))
    except ForeignError as error:
        metrics.REFUSED.labels("foreign").inc()
        return refused(403, str(error))
    except OSError as error:
        return _later(f"the hub cannot write: {error}", 30)
    body.clear()
    intake.clocks.heard(waiting[0].batch.header.node, request.headers.get(HEADER, ""), received)
    return await _answer(intake, waiting)


async def _answer(intake: Intake, waiting: Sequence[Waiting]) -> JSONResponse:
    tickets = dict.fromkeys(item.ticket for item in waiting)
    futures = [asyncio.wrap_future(ticket.stored) for ticket in tickets]
    results = await asyncio.gather(*futures, return_exceptions=True)
    failure = next((result for result in results if isinstance(result, BaseException)), None)
    if isinstance(failure, StoreUnavailableError):
        return _later(str(failure), 5)
    if failure is not None:
        raise failure
    spool = waiting[0].batch.spool
    tables = {item.batch.header.table for item in waiting}
    stored = intake.stored(spool)
    faults.point("ingest.before_answer")
    return JSONResponse({"acknowledged": {table: stored.get(table, 0) for table in sorted(tables)}})


def _rejected(error: RejectedError) -> JSONResponse:
    metrics.REFUSED.labels("rejected").inc()
    header = error.header
    content: dict[str, Any] = {"error": str(error), "spool": None, "table": None, "seq": None}
    if header:
        content |= {"spool": header.spool, "table": header.table, "seq": header.seq}
    return JSONResponse(content, 400)


def _too_large() -> JSONResponse:
    metrics.REFUSED.labels("too_large").inc()
    # What is left of the body is not read, so this connection is of no use any more.
    return refused(413, f"a request has at most {MAX_REQUEST} bytes", {"Connection": "close"})


def _later(message: str, seconds: int) -> JSONResponse:
    metrics.REFUSED.labels("busy").inc()
    return refused(503, message, {"Retry-After": str(seconds)})
