"""Who looked at what: one line of JSON for each request that reads records (PCI DSS 10.2.1.3).

Anybody can have requests refused, so those may not push out the lines about people: fields are cut,
and of requests by nobody in particular only so many are written a minute; the rest is one count.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
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
NOBODY_A_MINUTE = 60
LONGEST_PATH = 1024
LONGEST_QUERY = 4096
_NOT_READING = ("/v1/", "/static/", "/healthz", "/readyz", "/metrics", "/openapi.json")


class AccessLog:
    """ASGI middleware: counts every request, and writes down those that read, refused ones too."""

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self._app = app
        self._log = _logger(path)
        self._nobody = Allowance(NOBODY_A_MINUTE)

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
        if left_out := self._nobody.left_out():
            self._write({"time": rfc3339(time.time_ns()), "who": "", "left_out": left_out})
        if scope["path"].startswith(_NOT_READING):
            return
        if _principal(scope) or self._nobody.takes():
            self._write(_entry(scope, status))

    def _write(self, entry: dict[str, object]) -> None:
        self._log.info("%s", orjson.dumps(entry).decode())


class Allowance:
    """So many a minute; what is more is counted, and the count given out when the minute is over."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._began = clock()
        self._seen = 0

    def takes(self) -> bool:
        """Count one; whether it is within the allowance."""
        self._seen += 1
        return self._seen <= self._most

    def left_out(self) -> int:
        """How many were too many in the minute that is over; 0 while it is not."""
        now = self._clock()
        if now - self._began < 60:
            return 0
        left_out = max(0, self._seen - self._most)
        self._began, self._seen = now, 0
        return left_out


def _principal(scope: Scope) -> Principal | None:
    principal: Principal | None = scope.get("state", {}).get("principal")
    return principal


def _entry(scope: Scope, status: int) -> dict[str, object]:
    principal = _principal(scope)
    client = scope.get("client")
    return {
        "time": rfc3339(time.time_ns()),
        "who": principal.name if principal else "",
        "role": principal.role if principal else "",
        "address": client[0] if client else "",
        "method": scope["method"],
        "path": scope["path"][:LONGEST_PATH],
        "query": scope["query_string"][:LONGEST_QUERY].decode("ascii", "backslashreplace"),
        "status": status,
    }


def _logger(path: Path) -> logging.Logger:
    path.touch(mode=0o600, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.Logger("keelwatch.access")  # not of the tree: one for each hub, nothing propagates
    logger.addHandler(handler)
    return logger
