"""Style sheets, scripts and pictures, from the package and nowhere else."""

from __future__ import annotations

import functools
import hashlib
import mimetypes
from pathlib import Path

from fastapi import HTTPException, Request
from fastapi.responses import Response

_FOLDER = Path(__file__).parents[1] / "static"
_SUFFIXES = frozenset({".css", ".js", ".svg"})


@functools.cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """(content, media type, entity tag) by path: the paths served are the files shipped, no others."""
    found: dict[str, tuple[bytes, str, str]] = {}
    for path in _FOLDER.rglob("*"):
        if path.suffix in _SUFFIXES:
            content = path.read_bytes()
            kind = mimetypes.types_map.get(path.suffix, "application/octet-stream")
            tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            found[path.relative_to(_FOLDER).as_posix()] = (content, kind, tag)
    return found


def version() -> str:
    """Changes whenever an asset does, so that browsers never mix old and new ones."""
    return hashlib.sha256("".join(tag for _, _, tag in _files().values()).encode()).hexdigest()[:10]


def asset(path: str, request: Request) -> Response:
    """Answer with the asset, or 304 when the browser has it, or 404."""
    if path not in _files():
        raise HTTPException(404, "no such asset")
    content, kind, tag = _files()[path]
    headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
