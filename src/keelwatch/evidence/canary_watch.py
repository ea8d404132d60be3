"""Looks after the canaries all the time: what does not arrive in time becomes a gap, and is counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from prometheus_client import Counter, Gauge

from keelwatch.evidence.canary import BOUND, INTERVAL, SECOND, Canary, all_missing, read
from keelwatch.evidence.causes import KINDS, Kind
from keelwatch.kit.lru import LRU
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.store.database import Database, StoreError

_log = logging.getLogger(__name__)

LAST = Gauge(
    "keelwatch_hub_canary_last_timestamp_seconds", "When a node's canary last got through", ["node", "kind"]
)
MISSING = Counter(
    "keelwatch_hub_canary_missing_total", "Beats of canaries that did not arrive in time", ["node", "kind"]
)

INTERVAL_SECONDS = 30.0
WINDOW = 20 * 60 * SECOND
SETTLING = BOUND + 2 * INTERVAL
"""Behind its own start the hub waits for what agents kept meanwhile."""
_MAX_KNOWN = 100_000

_WHAT: dict[Kind, str] = {"events": "exec", "logs": "logs"}


class CanaryWatch:
    """A thread. `record` stores a gap unless it is there already."""

    def __init__(
        self,
        database: Database,
        record: Callable[[Gap], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._record = record
        self._clock = clock
        self._began = clock()
        self._told = LRU[tuple[str, Kind, int], None](_MAX_KNOWN)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canaries", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> int:
        """Record what is missing now and was not told yet; return how many beats that are."""
        now = self._clock()
        found = read(self._database, now - WINDOW, now)
        _show(found)
        if now - self._began < SETTLING:
            return 0
        told = 0
        for one, kind, number, said in all_missing(found, now):
            if (one.container_id, kind, number) in self._told:
                continue
            self._record(_gap(one, kind, number, said))
            MISSING.labels(one.names["node"], kind).inc()
            self._told[one.container_id, kind, number] = None
            told += 1
        return told

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            try:
                self.look()
            except StoreError as error:
                _log.warning("could not look after the canaries: %s", error.brief)


def _show(found: list[Canary]) -> None:
    for one in found:
        for kind in KINDS:
            if beats := one.beats[kind]:
                LAST.labels(one.names["node"], kind).set(max(beats.values()) / SECOND)


def _gap(one: Canary, kind: Kind, number: int, said: int) -> Gap:
    names = {name: one.names[name] for name in one.names}
    identity = Identity(container_id=one.container_id, **names)  # type: ignore[arg-type]  # all of them are text
    detail = f"beat {number} of canary {one.container_id[:12]}"
    return Gap(_WHAT[kind], "canary_missing", said, said + BOUND, 1, "intervals", identity, detail)
