"""What a browser is shown at an address that is none; programs get the API's JSON."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from keelwatch.console.pages.render import render

_FOR_PROGRAMS = ("/api/", "/v1/", "/static/")


def asks_for_a_page(request: Request) -> bool:
    """Whether a person's browser asks, for something that could be a page."""
    wants_html = "text/html" in request.headers.get("accept", "")
    return wants_html and not request.url.path.startswith(_FOR_PROGRAMS)


def no_such_page(request: Request) -> HTMLResponse:
    """The page that says so. It is the same for everybody, logged in or not."""
    shown = {"title": "No such page", "advice": "The address may be cut off or mistyped.", "section": ""}
    return render(request, "error.html", shown, None, status=404)
