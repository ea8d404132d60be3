"""The hub's ASGI application: the intake, the API, the pages, and what watches the hub itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from keelwatch import __version__
from keelwatch.audit import routes as audit_routes
from keelwatch.console.api import access, compare, coverage, records
from keelwatch.console.auth import ApiError, Auth
from keelwatch.console.history import History
from keelwatch.console.pages.not_found import asks_for_a_page, no_such_page
from keelwatch.hub import health
from keelwatch.hub.request_log import AccessLog
from keelwatch.ingest import pod_routes
from keelwatch.ingest import routes as ingest_routes
from keelwatch.ingest.auth import Tokens
from keelwatch.ingest.intake import Intake
from keelwatch.query.errors import QuestionError
from keelwatch.store.database import QUERY_TOO_LARGE, QUERY_TOO_LONG, BusyError, Database, StoreError

_BAD_REGEX = 427


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of. `tokens` and `auth` share the same tokens."""

    database: Database
    intake: Intake
    history: History
    tokens: Tokens
    auth: Auth
    data: Path


def create_app(parts: Parts) -> FastAPI:
    """Wire the application. Everything the handlers need stands in `app.state`."""
    app = FastAPI(
        title="keelwatch hub", version=__version__, lifespan=_lifespan, docs_url=None, redoc_url=None
    )
    app.state.database = parts.database
    app.state.intake = parts.intake
    app.state.history = parts.history
    app.state.tokens = parts.tokens
    app.state.auth = parts.auth
    app.state.health = health.Health(parts.database, parts.history)
    app.state.authority = None
    app.state.inventory = None
    app.state.stopping = asyncio.Event()
    app.include_router(ingest_routes.router)
    app.include_router(pod_routes.router)
    app.include_router(audit_routes.router)
    app.include_router(records.router)
    app.include_router(compare.router)
    app.include_router(access.router)
    app.include_router(coverage.router)
    _include_pages(app)
    app.include_router(health.router)
    _include_errors(app)
    app.add_middleware(AccessLog, path=parts.data / "access.log")
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.stopping.set()


def _include_pages(app: FastAPI) -> None:
    if find_spec("keelwatch.console.pages.routes") is not None:  # the API works without the pages
        from keelwatch.console.pages.routes import router

        app.include_router(router)


def _include_errors(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def api_error(_: Request, error: ApiError) -> JSONResponse:
        headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "60"}}.get(error.status)
        return problem(error.status, error.code, str(error), error.hint, headers)

    @app.exception_handler(QuestionError)
    async def question_error(_: Request, error: QuestionError) -> JSONResponse:
        return problem(400, f"bad_{error.parameter}", f"{error.parameter}: {error}", error.hint)

    @app.exception_handler(RequestValidationError)
    async def validation_error(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return problem(400, "bad_parameter", f"{first['loc'][-1]}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and asks_for_a_page(request):
            return no_such_page(request)
        return problem(error.status_code, "http", str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(StoreError)
    async def store_error(_: Request, error: StoreError) -> JSONResponse:
        return _store_problem(error)


def problem(
    status: int, code: str, message: str, hint: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    """An error answer: `{"error": {"code", "message", "hint"}}`."""
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status, headers)


def _store_problem(error: StoreError) -> JSONResponse:
    if isinstance(error, BusyError):
        return problem(503, "busy", "the hub is busy", "try again", {"Retry-After": "2"})
    if error.code == _BAD_REGEX:
        return problem(400, "bad_regex", "regex: not a regular expression", "the syntax is RE2's")
    if error.code in (QUERY_TOO_LARGE, QUERY_TOO_LONG):
        hint = "ask for less: a shorter time (since, until), a namespace, a smaller tail"
        return problem(503, "too_much", "the question takes too much memory or time", hint)
    raise error
