"""The page "Access". Its address has the parameters of `GET /api/v1/access`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from keelwatch.console.auth import Session
from keelwatch.console.history import History
from keelwatch.console.pages.filters import explained, filters_of
from keelwatch.console.pages.login import viewer_of
from keelwatch.console.pages.render import render
from keelwatch.console.views.access import FILTERS, MOST, access_page, session_page
from keelwatch.console.views.reader import FilterError
from keelwatch.query.access import CONFIDENCES, KINDS
from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import filter_of

router = APIRouter(include_in_schema=False)
Views = Annotated[Session, Depends(viewer_of)]
_LONGEST = 400


@router.get("/access")
def access(request: Request, viewer: Views) -> HTMLResponse:
    """Who entered containers; a filter that cannot be understood is explained."""
    filters = filters_of(request, FILTERS)
    history: History = request.app.state.history
    problem, status = "", 200
    try:
        found = explained(lambda: history.sessions(filter_of(filters), MOST))
    except FilterError as error:
        problem, status, found = str(error), 400, []
    shown = {"filters": filters, "problem": problem, "section": "/access", "wide": True, **access_page(found)}
    choices = {"kinds": KINDS, "confidences": CONFIDENCES}
    return render(request, "access.html", shown | choices, viewer, status=status)


@router.get("/access/{id_}")
def session(request: Request, viewer: Views, id_: str) -> HTMLResponse:
    """One session with what was done in it."""
    history: History = request.app.state.history
    try:
        found = history.session(id_[:_LONGEST])
        advice = "The address may be cut off."
    except QuestionError as error:
        found, advice = None, f"{error}; {error.hint}"
    if found is None:
        missing = {"title": "No such access session", "advice": advice, "section": ""}
        return render(request, "error.html", missing, viewer, status=404)
    return render(request, "session.html", {"section": "/access", **session_page(found)}, viewer)
