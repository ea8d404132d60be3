"""The console's pages: an address in, HTML out. What a page shows is decided in views/.

Every handler is a plain function, so the queries run in worker threads, off the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from keelwatch.console.auth import Session
from keelwatch.console.pages.access import router as access_router
from keelwatch.console.pages.assets import asset
from keelwatch.console.pages.coverage import router as coverage_router
from keelwatch.console.pages.login import router as session_router
from keelwatch.console.pages.login import viewer_of
from keelwatch.console.pages.reader import reader_of
from keelwatch.console.pages.render import render
from keelwatch.console.views import alerts as alert_views
from keelwatch.console.views import format as form
from keelwatch.console.views import logs as log_views
from keelwatch.console.views import overview as overview_views
from keelwatch.console.views import workloads as workload_views
from keelwatch.console.views.format import FILTERS
from keelwatch.console.views.reader import FilterError, Reader
from keelwatch.model.gap import CAUSES

router = APIRouter(include_in_schema=False)
router.include_router(session_router)
router.include_router(coverage_router)
router.include_router(access_router)

Reads = Annotated[Reader, Depends(reader_of)]
Views = Annotated[Session, Depends(viewer_of)]
_LONGEST = 400
_LONGEST_CURSOR = 60_000
_RANGE = re.compile(r"\d{1,6}[smhdw]|[0-9TZ:.+-]{10,40}", re.ASCII)


@router.get("/static/{path:path}")
def static(path: str, request: Request) -> Response:
    """A style sheet, script or picture: these need no log-in."""
    return asset(path, request)


@router.get("/")
def overview(request: Request, reader: Reads, viewer: Views) -> HTMLResponse:
    """What fired, was anything unmonitored, what is watched."""
    filters = filters_of(request, since="24h")
    return _page(request, viewer, "overview.html", filters, lambda f: overview_views.overview(reader, f))


@router.get("/alerts")
def alerts(request: Request, reader: Reads, viewer: Views) -> HTMLResponse:
    """Alerts that match the filters, newest first."""
    filters = filters_of(request, since="24h")
    return _page(request, viewer, "alerts.html", filters, lambda f: alert_views.alerts_page(reader, f))


@router.get("/alerts/{id_}")
def alert(request: Request, reader: Reads, viewer: Views, id_: str) -> HTMLResponse:
    """One alert with its story."""
    try:
        found = reader.alert(id_)
    except FilterError as error:
        return _missing(request, viewer, "No such alert", str(error))
    if found is None:
        return _missing(request, viewer, "No such alert", "The address may be cut off.")
    shown = alert_views.alert_page(reader, found)
    return render(request, "alert.html", {"section": "/alerts", **shown}, viewer)


@router.get("/logs")
def logs(request: Request, reader: Reads, viewer: Views) -> HTMLResponse:
    """Log lines that match, or the live tail."""
    filters = filters_of(request, since="1h")
    if request.query_params.get("live") == "true":
        live = filters | {"since": "15m"} if "since" not in request.query_params else filters
        return _page(request, viewer, "logs.html", live, lambda f: log_views.live_page(reader, f), wide=True)
    return _page(request, viewer, "logs.html", filters, lambda f: log_views.logs_page(reader, f), wide=True)


@router.get("/logs/rows")
def log_rows(request: Request, reader: Reads, viewer: Views) -> HTMLResponse:
    """What the live tail asks for: lines received since the cursor, and the next question."""
    filters = filters_of(request, since="15m")
    cursor = request.query_params.get("cursor", "")[:_LONGEST_CURSOR]
    try:
        shown = log_views.more_lines(reader, filters, cursor)
    except FilterError as error:
        raise HTTPException(400, str(error)) from error
    return render(request, "log_more.html", shown, viewer)


@router.get("/workloads")
def workloads(request: Request, reader: Reads, viewer: Views) -> HTMLResponse:
    """All workloads."""
    filters = filters_of(request, since="7d")
    return _page(
        request, viewer, "workloads.html", filters, lambda f: workload_views.workloads_page(reader, f)
    )


@router.get("/workloads/{namespace}/{kind}/{name:path}")
def workload(
    request: Request, reader: Reads, viewer: Views, namespace: str, kind: str, name: str
) -> HTMLResponse:
    """One workload: instances living and gone, timeline."""
    filters = filters_of(request, since="24h")
    filters["workload"] = form.workload_name({"workload_kind": kind, "workload": name})
    if namespace != "-":
        filters["namespace"] = namespace
    try:
        by = request.query_params.get("compare", "")[:_LONGEST]
        shown = workload_views.workload_page(reader, filters, by)
    except FilterError as error:
        return _missing(request, viewer, "This cannot be shown", str(error))
    if shown is None:
        return _missing(request, viewer, "No such workload in this time", "Widen the time range: ?since=30d")
    return render(request, "workload.html", {"section": "/workloads", "filters": filters, **shown}, viewer)


@router.get("/gaps")
def gaps(request: Request, reader: Reads, viewer: Views) -> HTMLResponse:
    """What was not observed, newest first."""
    filters = filters_of(request, since="24h")

    def show(chosen: dict[str, str]) -> dict[str, Any]:
        return {"gaps": reader.rows("gaps", chosen, 500)[::-1], "causes": CAUSES}

    return _page(request, viewer, "gaps.html", filters, show)


def filters_of(request: Request, *, since: str) -> dict[str, str]:
    """The filters in the address, bounded, with the page's own time range where none is given."""
    asked = request.query_params
    found = {name: asked[name][:_LONGEST] for name in FILTERS if asked.get(name)}
    if not _RANGE.fullmatch(found.get("since", "")):
        found["since"] = since
    return found


def _page(
    request: Request,
    viewer: Session,
    template: str,
    filters: dict[str, str],
    show: Callable[[dict[str, str]], dict[str, Any]],
    *,
    wide: bool = False,
) -> HTMLResponse:
    """Render a page; a filter that cannot be understood is explained above an empty result."""
    problem = ""
    try:
        shown = show(filters)
    except FilterError as error:
        problem, status = str(error), 400
        shown = show({"since": "1s"})
    else:
        status = 200
    context = {"filters": filters, "problem": problem, "section": request.url.path, "wide": wide, **shown}
    return render(request, template, context, viewer, status=status)


def _missing(request: Request, viewer: Session, title: str, advice: str) -> HTMLResponse:
    shown = {"title": title, "advice": advice, "section": ""}
    return render(request, "error.html", shown, viewer, status=404)
