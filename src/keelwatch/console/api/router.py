"""What the files of the HTTP API share: who is let in, how refusals look, where the records are."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from keelwatch.console.api.answers import ErrorAnswer
from keelwatch.console.auth import Auth
from keelwatch.console.history import History


def api_router(tag: str) -> APIRouter:
    """A router below /api/v1 that answers only those who may read."""
    return APIRouter(
        prefix="/api/v1",
        tags=[tag],
        dependencies=[Depends(_allowed)],
        responses={code: {"model": ErrorAnswer} for code in (400, 401, 403, 503)},
    )


def history_of(request: Request) -> History:
    """What was recorded."""
    history: History = request.app.state.history
    return history


def _allowed(request: Request) -> None:
    auth: Auth = request.app.state.auth
    auth.require(request)
