"""Who may send records: an agent with a token of the hub's, or one for whom the API server vouches."""

from __future__ import annotations

import asyncio

from fastapi import Request
from fastapi.responses import JSONResponse

from keelwatch.ingest import metrics
from keelwatch.ingest.auth import Principal, Tokens, bearer
from keelwatch.ingest.body import refused
from keelwatch.ingest.impostors import Impostors
from keelwatch.ingest.token_review import AwayError, RefusedError, Reviewer


async def admit(request: Request) -> Principal | JSONResponse:
    """The agent that sends this request, or the answer that refuses it (401, 403, 503)."""
    tokens: Tokens = request.app.state.tokens
    token = bearer(request.headers.get("authorization"))
    principal = tokens.verify(token) if token else None
    if principal is not None and principal.role == "agent":
        return principal
    if principal is not None:
        metrics.REFUSED.labels("forbidden").inc()
        return refused(403, f"the token {principal.name!r} has the role {principal.role}, not agent")
    reviewer: Reviewer | None = getattr(request.app.state, "reviewer", None)
    if token is None or reviewer is None:
        return _unauthorised("a valid agent token is needed")
    return await _reviewed(reviewer, token)


async def _reviewed(reviewer: Reviewer, token: str) -> Principal | JSONResponse:
    try:
        found = reviewer.principal(token)
        if isinstance(found, Principal):
            return found
        return await asyncio.wrap_future(found)
    except RefusedError as error:
        if error.status == 401:
            return _unauthorised(str(error))
        metrics.REFUSED.labels("forbidden").inc()
        return refused(error.status, str(error))
    except AwayError as error:
        metrics.REFUSED.labels("busy").inc()
        return refused(503, str(error), {"Retry-After": str(error.seconds)})


def refuse_other_node(request: Request, who: Principal, node: str, what: str) -> JSONResponse | None:
    """The answer to an agent that speaks for another node than its own: counted, and an alert."""
    if not who.node or node == who.node:
        return None
    metrics.REFUSED.labels("impostor").inc()
    impostors: Impostors | None = getattr(request.app.state, "impostors", None)
    if impostors is not None:
        impostors.claimed(who, node, request.client.host if request.client else "", what)
    return refused(403, f"this token is good for the node {who.node!r} only, not for {node!r}")


def _unauthorised(message: str) -> JSONResponse:
    metrics.UNAUTHORISED.labels("agent").inc()
    metrics.REFUSED.labels("unauthorised").inc()
    return refused(401, message, {"WWW-Authenticate": "Bearer"})
