"""A template and its values in, an HTML answer with the security headers out."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from keelwatch import __version__
from keelwatch.console.auth import Session
from keelwatch.console.pages import assets
from keelwatch.console.views import format as form

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@functools.cache
def _templates() -> Environment:
    return form.environment()


def render(
    request: Request, template: str, values: dict[str, Any], viewer: Session | None, status: int = 200
) -> HTMLResponse:
    """Return the page."""
    shared = {
        "assets": assets.version(),
        "version": __version__,
        "now": datetime.now(UTC),
        "query": dict(request.query_params),
        "csrf": viewer.csrf if viewer else "",
        "wide": False,
    }
    return HTMLResponse(_templates().get_template(template).render(shared | values), status, HEADERS)
