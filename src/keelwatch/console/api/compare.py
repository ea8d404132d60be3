"""`GET /api/v1/compare`: what sets the instances of a workload apart."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from keelwatch.console.api.answers import CompareAnswer
from keelwatch.console.api.parameters import COMPARE, openapi
from keelwatch.console.api.router import api_router, history_of
from keelwatch.query.compare import DEFAULT_LIMIT, MAX_LIMIT
from keelwatch.query.filter import Filter

router = api_router("records")


@router.get(
    "/compare", summary="What only some instances of a workload have", openapi_extra=openapi("compare")
)
async def get_compare(
    request: Request,
    wanted: Annotated[Filter, Depends(COMPARE)],
    by: Annotated[str, Query(description="line, process or file")] = "line",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    at_most: Annotated[int, Query(ge=0, le=1_000_000, description="of so many instances, 0: any")] = 0,
) -> CompareAnswer:
    """Lines (numbers and ids left out), programs or files, those of the fewest instances first."""
    return cast(
        CompareAnswer, await run_in_threadpool(history_of(request).compare, by, wanted, limit, at_most)
    )
