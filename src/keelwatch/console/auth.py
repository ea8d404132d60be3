"""Who is looking: a bearer token with each request, or a session after logging in with one.

The session is a signed cookie, so the hub keeps nothing about it; a POST that rides on the cookie
must repeat the session's CSRF token. Failed attempts are counted and slowed down.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from fastapi import Request
from starlette.responses import Response

from keelwatch.ingest.auth import Principal, Role, Tokens, bearer, write_private
from keelwatch.ingest.metrics import UNAUTHORISED

COOKIE = "keelwatch_session"
SESSION_SECONDS = 12 * 3600
READERS: tuple[Role, ...] = ("viewer", "analyst", "admin")


class ApiError(Exception):
    """An answer of the API that is not the one asked for."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who may read. `csrf` and `token` are empty when the request carried a token itself."""

    name: str
    role: Role
    csrf: str = ""
    expires: int = 0
    token: str = ""  # fingerprint of the token that logged in: the session ends with it


class Auth:
    """Checks requests against the hub's tokens. `key_file` holds the key that signs sessions."""

    def __init__(self, tokens: Tokens, key_file: Path, secure: bool) -> None:
        self.tokens = tokens
        self.limiter = Limiter()
        self._secure = secure
        if not key_file.exists():
            write_private(key_file, secrets.token_bytes(32))
        self._key = key_file.read_bytes()

    def log_in(self, token: str, address: str) -> Session:
        """Return a session for a token; raise ApiError 401, or 429 after too many failures."""
        if not self.limiter.allows(address):
            raise ApiError(429, "too_many_attempts", "too many failed attempts", "wait a minute")
        principal = self.tokens.verify(token.strip())
        if principal is None or principal.role not in READERS:
            self.limiter.failed(address)
            UNAUTHORISED.labels("log_in").inc()
            raise ApiError(401, "unauthorised", "this token cannot log in", "the hub's start printed one")
        expires = int(time.time()) + SESSION_SECONDS
        fingerprint = self.tokens.fingerprint(principal)
        return Session(principal.name, principal.role, secrets.token_urlsafe(24), expires, fingerprint)

    def set_cookie(self, response: Response, session: Session) -> None:
        """Put the session into the answer."""
        response.set_cookie(
            COOKIE, self._sign(session), max_age=SESSION_SECONDS, httponly=True, samesite="strict",
            secure=self._secure, path="/",
        )  # fmt: skip

    def clear_cookie(self, response: Response) -> None:
        """Log out."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=self._secure)

    def session(self, request: Request) -> Session | None:
        """Who sends this request, or None. Who it is stands in `request.state.principal` then.

        Raise ApiError 429 for a token from an address with too many wrong ones.
        """
        address, guessing = address_of(request), "authorization" in request.headers
        if guessing and not self.limiter.allows(address):
            raise ApiError(429, "too_many_attempts", "too many failed attempts", "wait a minute")
        found = self._by_token(request) or self._by_cookie(request)
        if guessing and found is None:
            self.limiter.failed(address)
        if found:
            request.state.principal = Principal(found.name, found.role)
        return found

    def require(self, request: Request, roles: tuple[Role, ...] = READERS) -> Session:
        """Who sends this request; raise ApiError 401, 403 (role, CSRF) or 429."""
        found = self.session(request)
        if found is None:
            UNAUTHORISED.labels("api").inc()
            raise ApiError(401, "unauthorised", "a valid token is needed", "send Authorization: Bearer TOKEN")
        if found.role not in roles:
            raise ApiError(403, "forbidden", f"the role {found.role} may not do this", f"one of {roles} may")
        if request.method not in ("GET", "HEAD") and found.csrf:
            self.check_csrf(found, request.headers.get("x-csrf-token", ""))
        return found

    def check_csrf(self, session: Session, given: str) -> None:
        """Raise ApiError 403 unless a form or script of ours sent this."""
        if not hmac.compare_digest(session.csrf.encode(), given.encode()):
            raise ApiError(403, "csrf", "the form has expired", "load the page again")

    def _by_token(self, request: Request) -> Session | None:
        token = bearer(request.headers.get("authorization"))
        principal = self.tokens.verify(token) if token else None
        return Session(principal.name, principal.role) if principal else None

    def _by_cookie(self, request: Request) -> Session | None:
        if request.headers.get("authorization"):
            return None  # a wrong token must not be saved by a cookie
        return self._verified(request.cookies.get(COOKIE, ""))

    def _sign(self, session: Session) -> str:
        payload = base64.urlsafe_b64encode(orjson.dumps(asdict(session))).decode()
        return f"{payload}.{self._mac(payload)}"

    def _verified(self, cookie: str) -> Session | None:
        payload, _, mac = cookie.partition(".")
        if not hmac.compare_digest(self._mac(payload).encode(), mac.encode()):
            return None
        try:
            session = Session(**orjson.loads(base64.urlsafe_b64decode(payload)))
        except (TypeError, ValueError, binascii.Error):
            return None
        known = self.tokens.fingerprint(Principal(session.name, session.role))
        if not known or not hmac.compare_digest(known.encode(), str(session.token).encode()):
            return None  # the token was replaced since
        return session if session.expires > time.time() else None

    def _mac(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


class Limiter:
    """Counts failures by address: after LIMIT of them within WINDOW seconds, no more for a while."""

    LIMIT = 10
    WINDOW = 60.0
    MOST = 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def allows(self, address: str) -> bool:
        """Whether this address may try."""
        with self._lock:
            return len(self._recent(address)) < self.LIMIT

    def failed(self, address: str) -> None:
        """Count a failure."""
        with self._lock:
            recent = self._recent(address)
            if len(self._failures) >= self.MOST:
                self._failures.pop(next(iter(self._failures)))
            self._failures[address] = [*recent, self._clock()]

    def _recent(self, address: str) -> list[float]:
        limit = self._clock() - self.WINDOW
        recent = [at for at in self._failures.get(address, ()) if at > limit]
        if not recent:
            self._failures.pop(address, None)
        return recent


def address_of(request: Request) -> str:
    """The peer's address. Forwarded headers are not believed."""
    return request.client.host if request.client else ""
