"""Carries the frames of one lane to the hub, one request at a time, for as long as it takes.

There is never more than one request of a lane under way: the hub takes a number below its highest for
a repetition, so frames that overtook others would make those look like repetitions.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from keelwatch.kit import faults
from keelwatch.kit.backoff import Backoff
from keelwatch.model.batch import BatchHeader
from keelwatch.ship.client import HubClient, RetryLaterError, content, numbers, reason
from keelwatch.ship.lanes import Lane
from keelwatch.ship.segment import read_head
from keelwatch.ship.spool import Spool

log = logging.getLogger(__name__)

GROW_AFTER = 50
"""Requests that went well after which one is tried that is twice as large, if a 413 made them smaller."""

BULK = 1 << 20
"""Bytes of a request after which more of that kind is expected: the next one is worth waiting for."""

GATHER = 0.4
"""Seconds that logs are then gathered. Small parts cost the store an insertion and a merge each."""

KNOCK = 1.0
"""Seconds between attempts, at most, while the hub cannot be reached and alerts may wait for it."""

PATIENCE: dict[Lane, float] = {"prompt": 30.0, "events": 120.0, "logs": 120.0}
"""Seconds that the hub may take for a request. A hub that died is not waited for with alerts in hand."""


@dataclass(slots=True)
class Counters:
    """What was done since the start. Documented in docs/reference/metrics.md."""

    requests: int = 0
    batches: int = 0
    rows: int = 0
    bytes: int = 0
    rejected: int = 0
    unauthorised: int = 0
    busy: int = 0
    failures: int = 0


class Carrier:
    """Used by one thread. `size` is in bytes of frames: how much a request holds at most."""

    def __init__(self, lane: Lane, spool: Spool, client: HubClient, size: int) -> None:
        self.lane = lane
        self.counters = Counters()
        self.problem = ""
        self.refused = False  # the last failure was the hub's own decision
        self.backoff = Backoff()
        self.knocks = Backoff(ceiling=KNOCK) if lane == "prompt" else self.backoff
        self.again = threading.Event()  # the hub is back: no need to rest any longer
        self.sent: dict[str, int] = {}  # the highest number by table that the hub was given
        self._spool = spool
        self._client = client
        self._size = self._full_size = size
        self._flood = False  # the last request was a large one
        self._unhindered = 0  # requests since the last that was too large

    def carry(self, closing: threading.Event) -> bool:
        """Do one request; return whether there was something to send. Raises if it must be sent again."""
        frames = self._gathered(closing)
        if frames:
            faults.point("sender.request")
            self._handle(frames, self._client.post(frames, PATIENCE[self.lane]))
        return bool(frames)

    def _gathered(self, closing: threading.Event) -> list[bytes]:
        """What is to be sent now: at once when it is little, in full requests when it is a flood."""
        frames = self._spool.pending(self._size, self.lane)
        size = sum(map(len, frames))
        if self._flood and size < self._size // 2 and not closing.is_set():
            closing.wait(GATHER)
            frames = self._spool.pending(self._size, self.lane)
            size = sum(map(len, frames))
        self._flood = size >= BULK and self.lane != "prompt"
        return frames

    def _handle(self, frames: list[bytes], answer: urllib3.BaseHTTPResponse) -> None:
        if answer.status == 200:
            self._acknowledge(frames, numbers(answer, "acknowledged"))
        elif answer.status in (400, 413) and (refused := self._named(frames, content(answer))):
            self._reject(refused, reason(answer))
        elif answer.status == 413 and len(frames) > 1:
            self._size = max(1, sum(map(len, frames)) // 2)
            self._unhindered = 0
        else:
            self._client.refuse(answer)

    def _acknowledge(self, frames: list[bytes], stored: dict[str, int]) -> None:
        faults.point("sender.answer")
        headers = [_header(frame) for frame in frames]
        for header in headers:
            self.sent[header.table] = max(header.seq, self.sent.get(header.table, 0))
        taken = [header for header in headers if header.seq <= stored.get(header.table, 0)]
        if not taken:
            raise RetryLaterError(f"hub {self._client.hub} answered 200 but acknowledged nothing new")
        self.counters.requests += 1
        self.counters.bytes += sum(map(len, frames))
        self.counters.batches += len(taken)
        self.counters.rows += sum(header.rows for header in taken)
        self._spool.acknowledge(self.of_ours(stored))
        self._grow()

    def of_ours(self, stored: Mapping[str, int]) -> dict[str, int]:
        """What the hub has, as far as it can have it from us: nothing unsent is ever acknowledged."""
        return {table: min(stored[table], seq) for table, seq in self.sent.items() if table in stored}

    def _grow(self) -> None:
        self._unhindered += 1
        if self._unhindered % GROW_AFTER == 0:
            self._size = min(self._full_size, self._size * 2)

    def _named(self, frames: list[bytes], answer: Mapping[str, Any]) -> bytes | None:
        """The frame that the hub itself says it can never accept; all others are sent again.

        An answer that names none may be of a proxy, or of a hub that is not ours: no reason to lose data.
        """
        name = (answer.get("spool"), answer.get("table"), answer.get("seq"))
        for frame in frames:
            header = _header(frame)
            if (header.spool, header.table, header.seq) == name:
                return frame
        return None

    def _reject(self, frame: bytes, why: str) -> None:
        log.error("the hub refuses a batch for ever, it is set aside: %s", why)
        self._spool.reject(frame, why)
        self.counters.rejected += 1


def _header(frame: bytes) -> BatchHeader:
    """The header of a frame whose checksum the spool has compared."""
    head = read_head(memoryview(frame))
    if head is None or head.header is None:
        raise ValueError("not a frame")
    return head.header
