"""How far each node's clock is from the hub's, as agents' requests tell it.

A request carries the time at which it was sent. It arrives later, so it makes a clock look late by
as long as it took: the latest-looking requests say least, and the best one of the last minutes is
taken. That is right but for the fastest request's way here. Records keep their agent's own time,
so that the order within a source never depends on this.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import orjson

from keelwatch.ingest.recorder import Recorder
from keelwatch.kit.worker import Worker
from keelwatch.model.identity import Identity
from keelwatch.store.database import StoreError

_log = logging.getLogger(__name__)

HEADER = "x-keelwatch-time"
APART = 2_000_000_000
"""Nanoseconds from which on two clocks are apart, which becomes a record (`clock_skew`)."""
AGREE = 1_000_000_000
HALF_WINDOW = 150.0
LEAST_SAMPLES = 3
"""One request may have been on its way for seconds; three hardly."""
MOST_NODES = 20_000
LOOK_SECONDS = 5.0
_DIGITS = 19


@dataclass(slots=True)
class _Clock:
    """Nanoseconds by which a node is ahead, at least: the best of this half window and of the one before."""

    best: int
    before: int | None
    since: float
    samples: int = 0
    apart: bool = False  # as recorded


class Clocks:
    """`heard` takes no time, a thread writes the records. `cluster` is what they say."""

    def __init__(self, recorder: Recorder, cluster: str) -> None:
        self._recorder = recorder
        self._cluster = cluster
        self._lock = threading.Lock()
        self._clocks: dict[str, _Clock] = {}
        self._worker = Worker("clocks", self._look, LOOK_SECONDS)

    def start(self) -> None:
        """Begin to record."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def heard(self, node: str, sent: str, received: int, now: float | None = None) -> None:
        """`sent` is the agent's header, `received` the hub's time (both nanoseconds since the epoch)."""
        if not node or not sent.isascii() or not sent.isdecimal() or len(sent) > _DIGITS:
            return
        ahead, now = int(sent) - received, time.monotonic() if now is None else now
        with self._lock:
            clock = self._clocks.get(node)
            if clock is None:
                if len(self._clocks) < MOST_NODES:
                    self._clocks[node] = _Clock(ahead, None, now, 1)
                return
            _rotate(clock, ahead, now)
            clock.best = max(clock.best, ahead)
            clock.samples += 1

    def skew(self, node: str) -> int | None:
        """Nanoseconds by which a node's clock is ahead of the hub's (behind: negative), None if unknown."""
        with self._lock:
            clock = self._clocks.get(node)
            return _skew(clock) if clock else None

    def _look(self) -> bool:
        with self._lock:
            known = [(node, clock, _skew(clock)) for node, clock in self._clocks.items()]
        changed = [
            (node, clock, skew) for node, clock, skew in known if skew is not None and _changes(clock, skew)
        ]
        rows = [self._row(node, skew, not clock.apart) for node, clock, skew in changed]
        try:
            self._recorder.write("lifecycle", rows)
        except StoreError as error:
            _log.warning("clocks that are apart are recorded later: %s", error.brief)
            return False
        for node, clock, skew in changed:
            clock.apart = not clock.apart
            _log.warning("the clock of node %s is %.1f s from the hub's", node, skew / 1e9)
        return False

    def _row(self, node: str, skew: int, apart: bool) -> dict[str, Any]:
        detail = {"skew_seconds": round(skew / 1e9, 3), "state": "apart" if apart else "agree"}
        about = Identity(cluster=self._cluster, node=node, identity_source="cluster=config")
        return {
            **about.columns(),
            "time": time.time_ns(),
            "kind": "clock_skew",
            "labels": {},
            "detail": orjson.dumps(detail).decode(),
        }


def _rotate(clock: _Clock, ahead: int, now: float) -> None:
    """Begin the next half of the window; what is older than both is forgotten."""
    age = now - clock.since
    if age >= HALF_WINDOW:
        clock.before = clock.best if age < 2 * HALF_WINDOW else None
        clock.best, clock.since = ahead, now


def _skew(clock: _Clock) -> int | None:
    if clock.samples < LEAST_SAMPLES:
        return None
    return clock.best if clock.before is None else max(clock.best, clock.before)


def _changes(clock: _Clock, skew: int) -> bool:
    return abs(skew) < AGREE if clock.apart else abs(skew) > APART
