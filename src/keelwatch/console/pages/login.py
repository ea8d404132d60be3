"""Log in and out, and who is looking: the pages' side of authentication."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from keelwatch.console.auth import READERS, ApiError, Auth, Session, address_of
from keelwatch.console.pages.render import render

router = APIRouter(include_in_schema=False)
_LARGEST_FORM = 8192


def auth_of(request: Request) -> Auth:
    """The hub's authentication."""
    auth: Auth = request.app.state.auth
    return auth


Authentication = Annotated[Auth, Depends(auth_of)]


def viewer_of(request: Request, auth: Authentication) -> Session:
    """Who is looking; raise an HTTPException that leads to the log-in page for anybody else."""
    session = auth.session(request)
    if session is not None and session.role in READERS:
        return session
    if request.headers.get("hx-request"):  # a part of a page: the whole page has to go to the log-in
        whole = urlsplit(request.headers.get("hx-current-url", "/"))
        raise HTTPException(401, headers={"HX-Redirect": _login_address(whole.path, whole.query)})
    raise HTTPException(303, headers={"Location": _login_address(request.url.path, request.url.query)})


def _login_address(path: str, query: str) -> str:
    wanted = f"{path}?{query}" if query else path
    return "/login?" + urlencode({"next": wanted}) if wanted != "/" else "/login"


@router.get("/login")
def login_page(request: Request, auth: Authentication) -> Response:
    """The form; who is logged in already goes on.

    The cookie is SameSite=Strict, so it does not come with the first request of somebody who
    follows a link from elsewhere. The page then asks again by itself, from here.
    """
    session = auth.session(request)
    after = local_path(request.query_params.get("next", "/"))
    if session is not None and session.role in READERS:
        return RedirectResponse(after, 303)
    again = request.headers.get("sec-fetch-site") == "cross-site"
    return render(request, "login.html", {"next": after, "problem": "", "again": again}, None)


@router.post("/login")
async def log_in(request: Request, auth: Authentication) -> Response:
    """Check the token and set the session's cookie."""
    form = await _form(request)
    after = local_path(form.get("next", "/"))
    try:
        session = auth.log_in(form.get("token", ""), address_of(request))
    except ApiError as error:
        shown = {"next": after, "problem": _why_not(error), "again": False}
        return render(request, "login.html", shown, None, status=error.status)
    answer = RedirectResponse(after, 303)
    auth.set_cookie(answer, session)
    return answer


def _why_not(error: ApiError) -> str:
    """In whole sentences, for the person who tries to log in."""
    if error.status == 401:
        return "This token cannot log in: the hub does not know it, or it is an agent's."
    return f"{error}, {error.hint}.".capitalize() if error.hint else f"{error}.".capitalize()


@router.post("/logout")
async def log_out(request: Request, auth: Authentication) -> Response:
    """End the session."""
    form = await _form(request)
    session = auth.session(request)
    if session is not None:
        try:
            auth.check_csrf(session, form.get("csrf", ""))
        except ApiError as error:
            raise HTTPException(error.status, str(error)) from error
    answer = RedirectResponse("/login", 303)
    auth.clear_cookie(answer)
    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form from our own pages; anybody may send one, so it is bounded."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "this form was sent from another site")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise HTTPException(413, "this form is too large")
    fields = _parsed(body)
    return {name: values[0] for name, values in fields.items()}


def _parsed(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError as error:
        raise HTTPException(400, "this form has too many fields") from error


def local_path(wanted: str) -> str:
    """The address to go on to, if it is one of ours; else the overview."""
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if ours else "/"
