"""Agents' ServiceAccount tokens, checked by the API server (TokenReview) and remembered for a while.

A token is remembered by its hash only. What was accepted is asked again after a minute; while the
API server is away it goes on for STALE_SECONDS, but not beyond the token's own end, so that a
restart of the control plane stops no agent. What was refused is asked again after a few seconds.
"""

from __future__ import annotations

import binascii
import hashlib
import logging
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from keelwatch.ingest import metrics
from keelwatch.ingest.auth import Principal
from keelwatch.inventory.client import Api, ApiError, UnreachableError
from keelwatch.kit.lru import LRU

_log = logging.getLogger(__name__)

AUDIENCE = "keelwatch"
FRESH_SECONDS = 60.0
RENEW_SECONDS = 30.0
"""Age at which a token in use is asked about ahead of time, so that nobody waits for the answer."""
REFUSED_SECONDS = 5.0
STALE_SECONDS = 600.0
"""How long an accepted token goes on while the API server cannot be asked."""
AWAY_SECONDS = 2.0
"""After a failed question, how long no other is tried: those who wait would wait for nothing."""
CLOCKS_APART = 300.0
"""By how much the hub's clock and the API server's may differ before a token looks expired to the hub."""
MAX_TOKEN = 16 << 10
MOST_KNOWN = 20_000
MOST_REFUSED = 2_000
MOST_WAITING = 256
_THREADS = 4
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_EXTRA = "authentication.kubernetes.io/"


class RefusedError(RuntimeError):
    """The token is not good for anything here (401), or not for this (403)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AwayError(RuntimeError):
    """Nobody can say now whether the token is good. `seconds` is when to try again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    asked: float  # by the clock given
    ends: float  # of the token itself, seconds since the epoch


class Reviewer:
    """`service_account` is NAMESPACE/NAME, the only one that agents may have."""

    def __init__(self, api: Api, service_account: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._user = "system:serviceaccount:" + service_account.replace("/", ":", 1)
        self._clock = clock
        self._lock = threading.Lock()
        self._known: LRU[bytes, _Known] = LRU(MOST_KNOWN)
        self._refused: LRU[bytes, tuple[float, int, str]] = LRU(MOST_REFUSED)
        self._asked: dict[bytes, Future[Principal]] = {}
        self._away_until = 0.0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="token-review")
        self.problem = ""  # why the API server cannot be asked; "" while it can

    def principal(self, token: str) -> Principal | Future[Principal]:
        """Who has this token, at once where it is known, else to be waited for.

        Both this and the future raise RefusedError or AwayError. Takes no time itself.
        """
        implausible = self._implausible(token)
        if implausible:
            raise RefusedError(401, implausible)
        key = hashlib.sha256(token.encode()).digest()
        with self._lock:
            known = self._known.get(key)
            age = self._clock() - known.asked if known else FRESH_SECONDS
            if known and age < FRESH_SECONDS:
                if age >= RENEW_SECONDS and self._can_ask():
                    self._ask(key, token)
                return known.principal
            self._raise_refused(key)
            if not self._can_ask():
                return self._stale(known)
            return self._ask(key, token)

    def _implausible(self, token: str) -> str:
        """What the API server needs not be asked, because the token itself says it. It proves nothing."""
        claims = _claims(token)
        if claims is None:
            return "the token is neither one of the hub's nor that of a ServiceAccount"
        audience = claims.get("aud")
        if AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
            return f"the token is not for the audience {AUDIENCE!r}"
        if _end(claims) + CLOCKS_APART < time.time():
            return "the token has expired"
        return ""

    def _raise_refused(self, key: bytes) -> None:
        until, status, message = self._refused.get(key) or (0.0, 0, "")
        if self._clock() < until:
            raise RefusedError(status, message)

    def _can_ask(self) -> bool:
        return self._clock() >= self._away_until and len(self._asked) < MOST_WAITING

    def _ask(self, key: bytes, token: str) -> Future[Principal]:
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = self._threads.submit(self._review, key, token)
        return future

    def _stale(self, known: _Known | None) -> Principal:
        """Whom the API server vouched for not long ago; raise AwayError."""
        if known and self._clock() - known.asked < STALE_SECONDS and time.time() < known.ends:
            return known.principal
        raise AwayError(f"no token can be checked now: {self.problem or 'too many wait'}", 5)

    def _review(self, key: bytes, token: str) -> Principal:
        try:
            principal = self._judge(token)
        except RefusedError as error:
            self._note(key, None, (self._clock() + REFUSED_SECONDS, error.status, str(error)), "refused")
            raise
        except (ApiError, UnreachableError) as error:
            return self._failed(key, error)
        except BaseException:
            self._note(key, None, None, "failed")
            raise
        claims = _claims(token) or {}
        self._note(key, _Known(principal, self._clock(), _end(claims)), None, "accepted")
        return principal

    def _note(
        self, key: bytes, known: _Known | None, refused: tuple[float, int, str] | None, outcome: str
    ) -> None:
        metrics.REVIEWS.labels(outcome).inc()
        with self._lock:
            self._asked.pop(key, None)
            if known is not None:
                self._known[key] = known
                self.problem = ""
            if refused is not None:
                self._known.pop(key, None)
                self._refused[key] = refused
                self.problem = ""

    def _failed(self, key: bytes, error: Exception) -> Principal:
        metrics.REVIEWS.labels("away").inc()
        with self._lock:
            self._asked.pop(key, None)
            if not self.problem:
                _log.warning("agents' tokens cannot be checked: %s", error)
            self.problem = str(error)
            self._away_until = self._clock() + AWAY_SECONDS
            return self._stale(self._known.get(key))

    def _judge(self, token: str) -> Principal:
        """Ask the API server about a token; raise RefusedError, ApiError or UnreachableError."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        status = self._api.post(_PATH, body).get("status") or {}
        if status.get("authenticated") is not True or AUDIENCE not in (status.get("audiences") or ()):
            raise RefusedError(401, f"the API server refuses the token: {status.get('error') or 'no reason'}")
        user = status.get("user") or {}
        if user.get("username") != self._user:
            raise RefusedError(403, f"{user.get('username')} is not {self._user}, which agents run as")
        return self._bound(user.get("extra") or {})

    def _bound(self, extra: dict[str, Any]) -> Principal:
        """The agent of the node on which the token's pod runs."""
        namespace = self._user.split(":")[2]
        pod, uid, node = (_first(extra, name) for name in ("pod-name", "pod-uid", "node-name"))
        if not pod:
            raise RefusedError(
                403, "the token belongs to no pod, so it does not say which node it is good for"
            )
        if not node:
            node = self._node_of(namespace, pod, uid)
        return Principal(self._user, "agent", node, "serviceaccount", namespace, pod, uid)

    def _node_of(self, namespace: str, pod: str, uid: str) -> str:
        """Where the pod runs: API servers before 1.30 do not put it into tokens."""
        try:
            found = self._api.get(
                f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"
            )
        except ApiError as error:
            if error.status == 404:
                raise RefusedError(401, f"the token's pod {namespace}/{pod} is gone") from error
            raise
        node = (found.get("spec") or {}).get("nodeName")
        if (found.get("metadata") or {}).get("uid") != uid or not isinstance(node, str) or not node:
            raise RefusedError(401, f"the token's pod {namespace}/{pod} is not there any more")
        return node


def _first(extra: dict[str, Any], name: str) -> str:
    values = extra.get(_EXTRA + name)
    return str(values[0]) if isinstance(values, list) and values else ""


def _claims(token: str) -> dict[str, Any] | None:
    """What a JWT says of itself, unproven; None if it is none."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3:
        return None
    try:
        found = orjson.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    return found if isinstance(found, dict) else None


def _end(claims: dict[str, Any]) -> float:
    end = claims.get("exp")
    return float(end) if isinstance(end, int | float) else 0.0
