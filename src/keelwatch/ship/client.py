"""The hub as the agent's shipper sees it: two requests, and what their answers mean.

GET  {hub}/v1/spools/{spool}  what the hub has stored: the truth after a restart
POST {hub}/v1/batches         frames of one lane, in order
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3

from keelwatch import __version__

_NEVER = (0, 0, 0)


class RetryLaterError(Exception):
    """The hub cannot take it now; `after` is how many seconds it asks to be left alone."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class UnauthorisedError(RetryLaterError):
    """The hub does not accept the token. Its file is read again for the next request."""


class BusyError(RetryLaterError):
    """The hub says that it is overloaded."""


class AwayError(RetryLaterError):
    """Whatever stands before the hub says that it does not reach it."""


class HubClient:
    """Thread-safe. Token and authority are read again when their files change, which may appear later.

    The token is also read again when the hub refuses it.
    """

    def __init__(self, hub: str, token_file: Path | None, ca_file: Path | None, connections: int) -> None:
        self.hub = hub.rstrip("/")
        self._token_file = token_file
        self._token = ""
        self._token_stamp = _NEVER
        self._lock = threading.Lock()
        self._connections = connections
        self._ca_file = ca_file
        self._ca_stamp = _NEVER
        self._pool = _pool(None, connections)

    def stored(self, spool: str) -> dict[str, int]:
        """The highest stored sequence number by table. Raises RetryLaterError, HTTPError, ValueError."""
        answer = self._request("GET", f"/v1/spools/{spool}", 30.0)
        if answer.status != 200:
            self.refuse(answer)
        return numbers(answer, "stored")

    def post(self, frames: list[bytes], patience: float) -> urllib3.BaseHTTPResponse:
        """Send frames; the answer may be any. `patience` is how many seconds the hub may take for it."""
        return self._request("POST", "/v1/batches", patience, frames)

    def inventory(self, node: str, since: int, wait: int, patience: float) -> urllib3.BaseHTTPResponse:
        """Ask for news of the node's pods since a version; the hub may wait `wait` seconds for some."""
        query = urlencode({"node": node, "since": since, "wait": wait})
        answer = self._request("GET", f"/v1/inventory?{query}", wait + patience)
        if answer.status in (401, 403):
            with self._lock:
                self._token = ""
        return answer

    def refuse(self, answer: urllib3.BaseHTTPResponse) -> None:
        """Raise for an answer that means: later."""
        if answer.status in (401, 403):
            with self._lock:
                self._token = ""
        if answer.status == 401:
            raise UnauthorisedError(f"hub {self.hub} does not accept the token in {self._token_file}")
        if answer.status == 403:
            raise UnauthorisedError(f"hub {self.hub} answered 403: {reason(answer)}")
        if answer.status in (502, 504) or (answer.status == 503 and "Retry-After" not in answer.headers):
            raise AwayError(f"hub {self.hub} is away: {answer.status}: {reason(answer)}")
        if answer.status == 503:
            raise BusyError(f"hub {self.hub} is busy: {reason(answer)}", _retry_after(answer))
        raise RetryLaterError(f"hub {self.hub} answered {answer.status}: {reason(answer)}")

    def _request(
        self, method: str, path: str, patience: float, body: list[bytes] | None = None
    ) -> urllib3.BaseHTTPResponse:
        headers = {"User-Agent": f"keelwatch-agent/{__version__}", "X-Keelwatch-Time": str(time.time_ns())}
        if token := self._current_token():
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Length"] = str(sum(map(len, body)))  # so it is sent piece by piece, uncopied
        timeout = urllib3.Timeout(connect=5.0, read=patience)
        url = self.hub + path
        return self._current_pool().request(method, url, body=body, headers=headers, timeout=timeout)

    def _current_token(self) -> str:
        with self._lock:
            if self._token_file is None:
                return ""
            stamp = _stamp(self._token_file, "the token")
            if not self._token or stamp != self._token_stamp:
                self._token = self._token_file.read_text().strip()
                self._token_stamp = stamp
            return self._token

    def _current_pool(self) -> urllib3.PoolManager:
        with self._lock:
            if self._ca_file is not None:
                stamp = _stamp(self._ca_file, "the hub's authority")
                if stamp != self._ca_stamp:
                    self._pool, self._ca_stamp = _pool(self._ca_file, self._connections), stamp
            return self._pool


def _stamp(path: Path, what: str) -> tuple[int, int, int]:
    """What tells one content of the file from another; AwayError while there is none."""
    try:
        found = path.stat()
    except OSError as error:
        raise AwayError(f"waiting for {what}: {path}: {error.strerror}") from error
    return found.st_ino, found.st_mtime_ns, found.st_size


def _pool(ca_file: Path | None, connections: int) -> urllib3.PoolManager:
    """Connections that are kept, checked against the CA, never retried or redirected behind our back."""
    ca = str(ca_file) if ca_file else None
    return urllib3.PoolManager(num_pools=1, maxsize=connections, retries=False, ca_certs=ca)


def content(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    """The object that the answer holds, empty if there is none."""
    try:
        found = orjson.loads(answer.data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def numbers(answer: urllib3.BaseHTTPResponse, key: str) -> dict[str, int]:
    """The sequence numbers by table that stand in the answer under `key`; ValueError if they do not."""
    found = content(answer).get(key)
    if not isinstance(found, dict) or not all(
        isinstance(seq, int) and 0 <= seq < 1 << 63 for seq in found.values()
    ):
        raise ValueError(f"the answer has no {key!r} numbers: is this a keelwatch hub?")
    return found


def reason(answer: urllib3.BaseHTTPResponse) -> str:
    """Why, in the hub's words or in those of whatever answered."""
    found = content(answer).get("error", answer.data[:200].decode("utf-8", "backslashreplace"))
    return str(found)[:1000]


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float:
    try:
        return min(300.0, max(0.0, float(answer.headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0
