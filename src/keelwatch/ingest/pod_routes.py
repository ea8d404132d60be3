"""`GET /v1/inventory`: an agent asks for the identities of its node's pods, and waits for news of them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from keelwatch.ingest.body import refused
from keelwatch.ingest.gate import admit, refuse_other_node
from keelwatch.inventory.inventory import Inventory

MAX_WAIT = 60.0
SETTLE = 0.01
"""Seconds between the first news and the answer: changes come in groups."""

router = APIRouter(prefix="/v1", include_in_schema=True, tags=["agents"])


@router.get("/inventory", summary="Pods of the agent's own node, and news of them", response_model=None)
async def get_inventory(
    request: Request,
    node: Annotated[str, Query(min_length=1, max_length=253)],
    since: Annotated[int, Query(ge=0)] = 0,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT)] = 0,
) -> JSONResponse:
    """Answer at once when there is news since that version, else after `wait` seconds."""
    who = await admit(request)
    if isinstance(who, JSONResponse):
        return who
    if refusal := refuse_other_node(request, who, node, "a question about pods"):
        return refusal
    inventory: Inventory | None = request.app.state.inventory
    if inventory is None:
        return refused(404, "this hub has no API server to ask: start it with --kubeconfig or --in-cluster")
    if not inventory.ready.is_set():
        return refused(503, "the inventory is not there yet", {"Retry-After": "1"})
    if not inventory.has_news(node, since):
        await _news(request, inventory, node, since, wait)
    return JSONResponse(inventory.news(node, since))


async def _news(request: Request, inventory: Inventory, node: str, since: int, wait: float) -> None:
    """Return when the node has news, the time is over or the hub stops."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    leave = inventory.subscribe(node, lambda: _call(loop, came))
    stopping = asyncio.create_task(request.app.state.stopping.wait())
    waiting = asyncio.create_task(came.wait())
    try:
        if not inventory.has_news(node, since):  # it may have come before we were there to hear of it
            await asyncio.wait((waiting, stopping), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(SETTLE)
    finally:
        leave()
        waiting.cancel()
        stopping.cancel()


def _call(loop: asyncio.AbstractEventLoop, came: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(came.set)
