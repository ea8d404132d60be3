"""Whether the hub lives, is ready, and its metrics: asked for by anybody, so answered from short memory.

However many ask at once, the store is asked once, and not by connections that readers can take away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from keelwatch.console.history import History
from keelwatch.hub.tls import Authority
from keelwatch.store.database import Database, StoreError

STORE_BYTES = Gauge("keelwatch_hub_store_bytes", "Bytes of the store on disk")
STORE_PARTS = Gauge("keelwatch_hub_store_parts", "Active parts of the store")
STORE_ROWS = Gauge("keelwatch_hub_store_rows", "Rows in the store, by table", ["table"])
AGENT_SEEN = Gauge(
    "keelwatch_hub_agent_last_seen_timestamp_seconds", "When an agent was last heard of", ["node"]
)
AGENT_SKEW = Gauge(
    "keelwatch_hub_agent_clock_skew_seconds", "How far a node's clock is ahead of the hub's", ["node"]
)

READY_SECONDS = 1.0
METRICS_SECONDS = 5.0

_log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Seldom:
    """Calls something that blocks, at most every `seconds`, whoever asks; others wait for that call."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds = seconds
        self._action = action
        self._lock = asyncio.Lock()
        self._until = 0.0

    async def __call__(self) -> None:
        """Raise what the action raises; then the next one who asks calls it again."""
        async with self._lock:
            if time.monotonic() >= self._until:
                await asyncio.to_thread(self._action)  # not the threads of those who read
                self._until = time.monotonic() + self._seconds


class Health:
    """What the three addresses need."""

    def __init__(self, database: Database, history: History) -> None:
        self.ready = Seldom(READY_SECONDS, lambda: _ask(database))
        self.measured = Seldom(METRICS_SECONDS, lambda: _measure(history))


@router.get("/healthz", summary="The process is alive")
async def healthz() -> PlainTextResponse:
    """Answer at once, whatever the store does."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", summary="The store answers")
async def readyz(request: Request) -> PlainTextResponse:
    """Answer when the store has, to the intake: busy readers are no reason to send agents away.

    With `?verbose` also what is wrong besides; the hub works on with what it may and can do.
    """
    health: Health = request.app.state.health
    await health.ready()
    history: History = request.app.state.history
    problems = history.public_trouble() if "verbose" in request.query_params else []
    return PlainTextResponse("".join(f"{line}\n" for line in ("ok", *problems)))


@router.get("/v1/ca", summary="The CA that the hub made for itself", tags=["agents"])
async def ca(request: Request) -> PlainTextResponse:
    """Answer its certificate (PEM). Compare the fingerprint with what the hub's log or its status says."""
    authority: Authority | None = request.app.state.authority
    if authority is None:
        return PlainTextResponse("the hub's certificate is not from a CA of its own\n", 404)
    headers = {"X-Keelwatch-Fingerprint": f"SHA256={authority.fingerprint}"}
    return PlainTextResponse(authority.pem, headers=headers, media_type="application/x-pem-file")


@router.get("/metrics", summary="Prometheus metrics")
async def metrics(request: Request) -> Response:
    """Answer with what is known, also while the store cannot be asked."""
    health: Health = request.app.state.health
    try:
        await health.measured()
    except StoreError as error:
        _log.warning("the store's size is not known now: %s", error.brief)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _ask(database: Database) -> None:
    database.lookup("SELECT 1 AS one")


def _measure(history: History) -> None:
    store = history.store()
    STORE_BYTES.set(store["bytes"])
    STORE_PARTS.set(store["parts"])
    for table, rows in store["rows"].items():
        STORE_ROWS.labels(table).set(rows)
    seen: dict[str, float] = {}
    for agent in history.seen():
        seen[agent.node] = max(agent.last_seen, seen.get(agent.node, 0.0))
    for node, last_seen in seen.items():
        AGENT_SEEN.labels(node).set(last_seen)
        if (skew := history.skew(node)) is not None:
            AGENT_SKEW.labels(node).set(skew / 1e9)
