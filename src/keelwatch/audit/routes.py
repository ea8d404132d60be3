"""`POST /v1/audit`: the API server's audit webhook (audit.k8s.io/v1, EventList).

The API server repeats a request four times over about 80 seconds, whatever the error was, and then
drops its events. So what can be stored is stored at once, and only a request of which nothing can be
used is answered with 400.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from keelwatch.audit import metrics
from keelwatch.audit.parse import InvalidError, Parsed, parse_list
from keelwatch.audit.writer import AuditWriter, UnavailableError
from keelwatch.ingest.auth import Tokens, bearer
from keelwatch.ingest.body import announced, read_body, refused
from keelwatch.ingest.intake import Intake, OverloadedError
from keelwatch.ingest.metrics import UNAUTHORISED

MAX_REQUEST = 64 << 20
"""Bytes; the API server's own limit of a batch is 10 MiB, where it has one."""
MAX_TOLD = 20
ROLES = frozenset({"audit", "admin"})

# Not the threads of those who read: their questions may take all of them.
_threads = ThreadPoolExecutor(4, thread_name_prefix="audit")

router = APIRouter(prefix="/v1", tags=["audit"])


@router.post("/audit", summary="Store audit events of an API server", response_model=None)
async def post_audit(request: Request) -> JSONResponse:
    """Answer 200 when all events of the list that can be used are durable."""
    refusal = _authorise(request)
    if refusal:
        return refusal
    size = announced(request, MAX_REQUEST)
    if size > MAX_REQUEST:
        return _too_large()
    intake: Intake = request.app.state.intake
    try:
        intake.reserve(size)
    except OverloadedError as error:
        return _later(str(error), error.seconds)
    try:
        return await _take(request, size)
    finally:
        intake.release(size)


async def _take(request: Request, size: int) -> JSONResponse:
    body = await read_body(request, size)
    if body is None:
        return _too_large()
    writer: AuditWriter = request.app.state.audit
    loop = asyncio.get_running_loop()
    try:
        parsed, outcome = await loop.run_in_executor(_threads, _submit, writer, body)
        stored = await asyncio.wrap_future(outcome)
    except UnavailableError as error:
        return _later(f"the store cannot write: {error}", 5)
    told = [str(mistake) for mistake in parsed.mistakes[:MAX_TOLD]]
    answer: dict[str, Any] = {
        "stored": stored.stored,
        "repeated": stored.repeated,
        "invalid": len(parsed.mistakes),
        "mistakes": told,
    }
    if parsed.mistakes and not parsed.events:
        metrics.REFUSED.labels("invalid").inc()
        return JSONResponse({"error": told[0], **answer}, 400)
    return JSONResponse(answer)


def _submit(writer: AuditWriter, body: bytearray) -> tuple[Parsed, Any]:
    """Parse and queue; a body that is no list is one mistake."""
    digest = hashlib.sha256(body).hexdigest()[:16]
    try:
        parsed = parse_list(body)
    except InvalidError as error:
        parsed = Parsed(mistakes=[error])
    return parsed, writer.submit(parsed, "webhook", digest)


def _authorise(request: Request) -> JSONResponse | None:
    tokens: Tokens = request.app.state.tokens
    token = bearer(request.headers.get("authorization"))
    principal = tokens.verify(token) if token else None
    if principal is None:
        UNAUTHORISED.labels("audit").inc()
        metrics.REFUSED.labels("unauthorised").inc()
        return refused(401, "a valid token of the role audit is needed", {"WWW-Authenticate": "Bearer"})
    if principal.role not in ROLES:
        metrics.REFUSED.labels("forbidden").inc()
        return refused(403, f"the token {principal.name!r} has the role {principal.role}, not audit")
    return None


def _too_large() -> JSONResponse:
    metrics.REFUSED.labels("too_large").inc()
    # What is left of the body is not read, so this connection is of no use any more.
    return refused(413, f"a request has at most {MAX_REQUEST} bytes", {"Connection": "close"})


def _later(message: str, seconds: int) -> JSONResponse:
    metrics.REFUSED.labels("busy").inc()
    return refused(503, message, {"Retry-After": str(seconds)})
