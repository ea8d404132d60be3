"""Bodies of what is posted to the hub, read as far as they may go, and of its refusals."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse


async def read_body(request: Request, size: int) -> bytearray | None:
    """The request's body, or None if it is longer than `size` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > size:
            return None
    return body


def announced(request: Request, most: int) -> int:
    """Content-Length; a body of unknown length counts as the largest one allowed."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else most


def refused(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A refusal as agents and the API server read it: `{"error": message}`."""
    return JSONResponse({"error": message}, status, headers)
