"""`GET /api/v1/access`: who entered containers by the API server, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from keelwatch.console.api.answers import ErrorAnswer
from keelwatch.console.api.parameters import ACCESS, TAIL, openapi
from keelwatch.console.api.router import api_router, history_of
from keelwatch.console.api.stream import NDJSON
from keelwatch.console.auth import ApiError
from keelwatch.query.filter import Filter

LONGEST_ID = 200


router = api_router("records")


@router.get(
    "/access",
    summary="Access sessions",
    responses={200: {"content": {NDJSON: {}}, "description": "one object a line"}},
    response_class=Response,
    openapi_extra=openapi("access", tail=True),
)
async def get_sessions(
    request: Request, wanted: Annotated[Filter, Depends(ACCESS)], tail: Annotated[int, Depends(TAIL)]
) -> Response:
    """Sessions by which users entered containers (exec, attach, debug, port-forward), oldest first."""
    found = await run_in_threadpool(history_of(request).sessions, wanted, tail)
    lines = (orjson.dumps(session, option=orjson.OPT_APPEND_NEWLINE) for session in found)
    return Response(b"".join(lines), media_type=NDJSON)


@router.get("/access/{identifier}", summary="One access session", responses={404: {"model": ErrorAnswer}})
async def get_session(request: Request, identifier: str) -> dict[str, Any]:
    """One session with what its trees of processes did: `tree`, `event_records`, `alert_records`."""
    found = await run_in_threadpool(history_of(request).session, identifier[:LONGEST_ID])
    if found is None:
        raise ApiError(404, "not_found", "there is no session with this id", "`keelwatch access` lists them")
    return found
