"""The page "Coverage". Its address has the parameters of `GET /api/v1/coverage`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from keelwatch.console.auth import Session
from keelwatch.console.pages.filters import explained, filters_of
from keelwatch.console.pages.login import viewer_of
from keelwatch.console.pages.render import render
from keelwatch.console.views.coverage import FILTERS, coverage_page
from keelwatch.console.views.reader import FilterError
from keelwatch.evidence.report import Coverage

router = APIRouter(include_in_schema=False)
Views = Annotated[Session, Depends(viewer_of)]


@router.get("/coverage")
def coverage(request: Request, viewer: Views) -> HTMLResponse:
    """What was observed of what ran; a filter that cannot be understood is explained."""
    filters = filters_of(request, FILTERS)
    reckoner: Coverage = request.app.state.coverage
    problem, status = "", 200
    try:
        report = explained(lambda: reckoner.report(filters))
    except FilterError as error:
        problem, status = str(error), 400
        report = reckoner.report({"since": "1s"})
    shown = {"filters": filters, "problem": problem, "section": "/coverage", **coverage_page(report)}
    return render(request, "coverage.html", shown, viewer, status=status)
