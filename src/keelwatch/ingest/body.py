"""Bodies of requests, read as far as they may go."""

from __future__ import annotations

from fastapi import Request


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
