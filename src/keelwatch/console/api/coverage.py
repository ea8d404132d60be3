"""`GET /api/v1/coverage`: what was observed and what was not. Documented in docs/reference/coverage.md."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from keelwatch.console.api.parameters import MAX_LENGTH
from keelwatch.console.api.router import api_router
from keelwatch.evidence.question import PARAMETERS
from keelwatch.evidence.report import Coverage
from keelwatch.query.errors import QuestionError

DESCRIPTIONS = {
    "since": "a duration back from now (24h, 30d) or RFC 3339; 24h if not given",
    "until": "a duration back from now or RFC 3339; now if not given",
    "cluster": "cluster name",
    "node": "node name",
    "namespace": "namespace",
    "workload": "checkout or deployment/checkout; kubectl's short kinds too",
    "team": "team that owns the workload",
    "pod": "pod name",
    "container": "container name",
    "by": "cluster, namespace, workload, team, node or container",
    "scope": "a label selector of namespaces, or all; the hub's own if not given",
    "limit": "most groups and containers in the answer, 100 if not given",
}


router = api_router("evidence")
_OPENAPI = {
    "parameters": [
        {"name": name, "in": "query", "schema": {"type": "string"}, "description": DESCRIPTIONS[name]}
        for name in PARAMETERS
    ]
}


def given(request: Request) -> dict[str, str]:
    """The parameters as text; raise QuestionError for one that is too long."""
    found = dict(request.query_params)
    for name, value in found.items():
        if len(value) > MAX_LENGTH:
            raise QuestionError(name[:40], f"is longer than {MAX_LENGTH} characters")
    return found


@router.get("/coverage", summary="What was observed, and what was not and why", openapi_extra=_OPENAPI)
async def get_coverage(request: Request, asked: Annotated[dict[str, str], Depends(given)]) -> dict[str, Any]:
    """Time observed over time that containers ran, events and logs apart."""
    coverage: Coverage = request.app.state.coverage
    return await run_in_threadpool(coverage.report, asked)
