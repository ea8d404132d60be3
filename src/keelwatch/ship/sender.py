"""Carries frames from the spool to the hub, one request at a time, for as long as it takes.

    GET  {hub}/v1/spools/{spool}  asked first, and again after an outage: what the hub has is the truth
    POST {hub}/v1/batches         several megabytes of frames, in order

There is never more than one request under way: the hub takes a number below its highest for a
repetition, so frames that overtook others would make those look like repetitions.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import urllib3

from keelwatch import __version__
from keelwatch.kit import faults
from keelwatch.kit.backoff import Backoff
from keelwatch.model.batch import decode_frame
from keelwatch.ship.spool import Spool

log = logging.getLogger(__name__)

GROW_AFTER = 50
"""Requests that went well after which one is tried that is twice as large, if a 413 made them smaller."""

REQUEST = 6 << 20
"""Bytes of frames in a request (more if the first frame is larger): some 35 MB of log text."""

BULK = 1 << 20
"""Bytes of a request after which more of that kind is expected: the next one is worth waiting for."""

GATHER = 0.4
"""Seconds that a request is then gathered. Small parts cost the store an insertion and a merge each."""

IDLE = 1.0
"""Seconds to wait for something to send before looking again."""

HEARTBEAT = 30.0
"""Seconds without an exchange after which an agent that has nothing to say shows that it is there."""


@dataclass(slots=True)
class Counters:
    """What the sender did since the start. Documented in docs/reference/metrics.md."""

    requests: int = 0
    batches: int = 0
    rows: int = 0
    bytes: int = 0
    rejected: int = 0
    unauthorised: int = 0
    busy: int = 0
    failures: int = 0


class _RetryLaterError(Exception):
    """The hub cannot take it now; `after` is how long it asks to be left alone."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Sender:
    """A thread. `token_file` is read again whenever the hub refuses the token."""

    def __init__(
        self,
        spool: Spool,
        hub: str,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        request_size: int = REQUEST,
    ) -> None:
        self._spool = spool
        self._hub = hub.rstrip("/")
        self._token_file = token_file
        self._size = self._full_size = request_size
        self._flood = False  # the last request was a large one
        self._unhindered = 0  # requests since the last that was too large
        self._sent: dict[str, int] = {}
        self._pool = _pool(ca_file)
        self._backoff = Backoff()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._resumed = False
        self._token = ""
        self.counters = Counters()
        self.problem = "not connected yet"
        self._told = False
        self.last_success = 0.0  # seconds since the epoch

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Try for up to `timeout` seconds to send what waits, then end."""
        deadline = time.monotonic() + timeout
        while not self.problem and any(self._spool.waiting.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._closing.set()
        self._spool.wake()
        self._thread.join(timeout)

    @property
    def connected(self) -> bool:
        """Whether the last exchange with the hub went well."""
        return not self.problem

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                sent = self.step()
            except _RetryLaterError as error:
                self._rest(str(error), error.after)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                self.counters.failures += 1
                self._rest(f"hub {self._hub}: {error}", 0.0)
            else:
                if not sent:
                    self._spool.wait(IDLE)

    def _rest(self, problem: str, after: float) -> None:
        if not self._told:
            log.warning("%s; batches wait in the spool", problem)
        self._told = True
        self.problem = problem
        # A hub that comes back would otherwise meet all agents at the same moment.
        asked = after * random.uniform(1.0, 1.25)  # noqa: S311  # spreads load, guards nothing
        self._closing.wait(max(self._backoff.next(), asked))

    def step(self) -> bool:
        """Do one exchange with the hub; return whether there was something to send."""
        if not self._resumed:
            self._resume()
        frames = self._gathered()
        if frames:
            faults.point("sender.request")
            self._handle(frames, self._request("POST", "/v1/batches", frames))
            self._succeed()
        elif time.time() - self.last_success > HEARTBEAT:
            self._spool.acknowledge(self._of_ours(self._stored()))
            self._succeed()
        return bool(frames)

    def _gathered(self) -> list[bytes]:
        """What is to be sent now: at once when it is little, in full requests when it is a flood."""
        frames = self._spool.pending(self._size)
        size = sum(map(len, frames))
        if self._flood and size < self._size // 2 and not self._closing.is_set():
            self._closing.wait(GATHER)
            frames = self._spool.pending(self._size)
            size = sum(map(len, frames))
        self._flood = size >= BULK
        return frames

    def _resume(self) -> None:
        self._spool.resume(self._stored())
        self._resumed = True
        self._succeed()

    def _stored(self) -> dict[str, int]:
        answer = self._request("GET", f"/v1/spools/{self._spool.id}")
        if answer.status != 200:
            self._refuse(answer)
        return _numbers(answer, "stored")

    def _succeed(self) -> None:
        if self.problem:
            log.info("connected to hub %s", self._hub)
        self.problem = ""
        self._told = False
        self.last_success = time.time()
        self._backoff.reset()

    def _handle(self, frames: list[bytes], answer: urllib3.BaseHTTPResponse) -> None:
        if answer.status == 200:
            self._acknowledge(frames, _numbers(answer, "acknowledged"))
        elif answer.status in (400, 413) and (refused := self._named(frames, _object(answer))):
            self._reject(refused, _reason(answer))
        elif answer.status == 413 and len(frames) > 1:
            self._size = max(1, sum(map(len, frames)) // 2)
            self._unhindered = 0
        else:
            self._refuse(answer)

    def _acknowledge(self, frames: list[bytes], stored: dict[str, int]) -> None:
        faults.point("sender.answer")
        headers = [decode_frame(memoryview(frame), 0)[0] for frame in frames]
        for header in headers:
            self._sent[header.table] = max(header.seq, self._sent.get(header.table, 0))
        taken = [header for header in headers if header.seq <= stored.get(header.table, 0)]
        if not taken:
            raise _RetryLaterError(f"hub {self._hub} answered 200 but acknowledged nothing new")
        self.counters.requests += 1
        self.counters.bytes += sum(map(len, frames))
        self.counters.batches += len(taken)
        self.counters.rows += sum(header.rows for header in taken)
        self._spool.acknowledge(self._of_ours(stored))
        self._grow()

    def _of_ours(self, stored: dict[str, int]) -> dict[str, int]:
        """What the hub has, as far as it can have it from us: nothing unsent is ever acknowledged."""
        return {table: min(stored[table], seq) for table, seq in self._sent.items() if table in stored}

    def _grow(self) -> None:
        self._unhindered += 1
        if self._unhindered % GROW_AFTER == 0:
            self._size = min(self._full_size, self._size * 2)

    def _named(self, frames: list[bytes], answer: dict[str, Any]) -> bytes | None:
        """The frame that the hub itself says it can never accept; all others are sent again.

        An answer that names none may be of a proxy, or of a hub that is not ours: no reason to lose data.
        """
        name = (answer.get("spool"), answer.get("table"), answer.get("seq"))
        for frame in frames:
            header, _, _ = decode_frame(memoryview(frame), 0)
            if (header.spool, header.table, header.seq) == name:
                return frame
        return None

    def _reject(self, frame: bytes, reason: str) -> None:
        log.error("the hub refuses a batch for ever, it is set aside: %s", reason)
        self._spool.reject(frame, reason)
        self.counters.rejected += 1

    def _refuse(self, answer: urllib3.BaseHTTPResponse) -> None:
        """Raise for an answer that means: later."""
        if answer.status in (401, 403):
            self.counters.unauthorised += 1
            self._token = ""
        if answer.status == 401:
            raise _RetryLaterError(f"hub {self._hub} does not accept the token in {self._token_file}")
        if answer.status == 503:
            self.counters.busy += 1
            raise _RetryLaterError(f"hub {self._hub} is busy: {_reason(answer)}", _retry_after(answer))
        self.counters.failures += 1
        raise _RetryLaterError(f"hub {self._hub} answered {answer.status}: {_reason(answer)}")

    def _request(self, method: str, path: str, body: list[bytes] | None = None) -> urllib3.BaseHTTPResponse:
        if not self._token and self._token_file is not None:
            self._token = self._token_file.read_text().strip()
        headers = {"User-Agent": f"keelwatch-agent/{__version__}"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Length"] = str(sum(map(len, body)))  # so it is sent piece by piece, uncopied
        return self._pool.request(method, self._hub + path, body=body, headers=headers)


def _pool(ca_file: Path | None) -> urllib3.PoolManager:
    """Connections that are kept, checked against the CA, never retried or redirected behind our back."""
    timeout = urllib3.Timeout(connect=5.0, read=120.0)
    ca = str(ca_file) if ca_file else None
    return urllib3.PoolManager(num_pools=1, maxsize=1, retries=False, timeout=timeout, ca_certs=ca)


def _object(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        found = orjson.loads(answer.data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _numbers(answer: urllib3.BaseHTTPResponse, key: str) -> dict[str, int]:
    found = _object(answer).get(key)
    if not isinstance(found, dict) or not all(
        isinstance(seq, int) and 0 <= seq < 1 << 63 for seq in found.values()
    ):
        raise ValueError(f"the answer has no {key!r} numbers: is this a keelwatch hub?")
    return found


def _reason(answer: urllib3.BaseHTTPResponse) -> str:
    found = _object(answer).get("error", answer.data[:200].decode("utf-8", "backslashreplace"))
    return str(found)[:1000]


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float:
    try:
        return min(300.0, max(0.0, float(answer.headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0
