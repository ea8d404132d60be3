"""Who looked at what: one line of JSON for each request that reads records (PCI DSS 10.2.1.3)."""

from __future__ import annotations

import logging
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

import orjson
from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keelwatch.ingest.auth import Principal
from keelwatch.query.times import rfc3339

REQUESTS = Counter("keelwatch_hub_http_requests_total", "HTTP requests", ["path", "status"])

FILE_BYTES = 50 << 20
FILES = 20
_NOT_READING = ("/v1/", "/static/", "/healthz", "/readyz", "/metrics", "/openapi.json")


class AccessLog:
    """ASGI middleware: counts every request, and writes down those that read, refused ones too."""

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self._app = app
        self._log = _logger(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note the answer's status when the answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, int(message["status"]))
            await send(message)

        await self._app(scope, receive, noting)

    def _note(self, scope: Scope, status: int) -> None:
        route = scope.get("route")
        REQUESTS.labels(getattr(route, "path", "other"), str(status)).inc()
        if not scope["path"].startswith(_NOT_READING):
            self._log.info("%s", orjson.dumps(_entry(scope, status)).decode())


def _entry(scope: Scope, status: int) -> dict[str, object]:
    principal: Principal | None = scope.get("state", {}).get("principal")
    client = scope.get("client")
    return {
        "time": rfc3339(time.time_ns()),
        "who": principal.name if principal else "",
        "role": principal.role if principal else "",
        "address": client[0] if client else "",
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode("ascii", "backslashreplace"),
        "status": status,
    }


def _logger(path: Path) -> logging.Logger:
    path.touch(mode=0o600, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.Logger("keelwatch.access")  # not of the tree: one for each hub, nothing propagates
    logger.addHandler(handler)
    return logger
