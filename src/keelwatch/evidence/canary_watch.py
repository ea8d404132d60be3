"""Looks after the canaries all the time: what does not arrive in time becomes a gap, and is counted.

The first beat that is missing becomes a gap at once; of a canary that stays silent all beats of ten minutes
are one gap, for as long as it is silent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import Counter, Gauge

from keelwatch.evidence.canary import BOUND, INTERVAL, SECOND, Beat, Canary, of_canaries, read
from keelwatch.evidence.causes import KINDS, Kind
from keelwatch.evidence.fetch import Fetch, Heard
from keelwatch.kit.lru import LRU
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.query import canary as sql
from keelwatch.query.coverage import Where
from keelwatch.query.errors import QuestionError
from keelwatch.query.times import rfc3339
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
PAUSE = 10 * 60 * SECOND
"""Between two records of gaps of one canary: what is missing meanwhile waits, well within the window."""
LISTING = 5 * 60 * SECOND
"""Between two looks at what the API server told: that reads the history of all pods."""
LISTING_NONE = 30 * 60 * SECOND
"""The same, while it told of no canary."""
SETTLING = BOUND + 2 * INTERVAL
"""Behind its own start the hub waits for what agents kept meanwhile."""
_MAX_KNOWN = 100_000

_WHAT: dict[Kind, str] = {"events": "exec", "logs": "logs"}
_Key = tuple[str, str]
"""A canary's container id, and what of it is missing, as a gap says it."""


class CanaryWatch:
    """A thread. `record` stores a gap unless it is there already."""

    def __init__(
        self,
        database: Database,
        record: Callable[[Gap], None],
        clock: Callable[[], int] = time.time_ns,
        heard: Heard = dict,
    ) -> None:
        self._fetch = Fetch(database, heard)
        self._record = record
        self._clock = clock
        self._began = clock()
        self._told: LRU[_Key, tuple[int, int]] | None = None  # up to when beats were told, and when they were
        self._listed: list[dict[str, Any]] = []
        self._listed_at = 0
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
        where = of_canaries(Where(now - WINDOW, now))
        found = read(self._fetch, where, self._fetch.told(where), self._list(where, now))
        _show(found)
        if now - self._began < SETTLING:
            return 0
        return sum(self._tell(one, kind, where, now) for one in found for kind in KINDS)

    def _list(self, where: Where, now: int) -> list[dict[str, Any]]:
        if now - self._listed_at >= (LISTING if self._listed else LISTING_NONE):
            self._listed_at = now
            try:
                self._listed = self._fetch.listed(where)
            except (StoreError, QuestionError) as error:  # what was known before still holds
                _log.warning("the API server's canaries are not up to date: %s", error)
        return self._listed

    def _tell(self, one: Canary, kind: Kind, where: Where, now: int) -> int:
        known, key = self._known(where), (one.container_id, _WHAT[kind])
        until, at = known.get(key) or (0, 0)
        missing = [beat for beat in one.missing(kind, where, now) if beat.time >= until]
        if not missing or now - at < PAUSE:
            return 0
        for stretch in _stretches(missing):
            self._record(_gap(one, kind, stretch))
        MISSING.labels(one.names["node"], kind).inc(len(missing))
        known[key] = (missing[-1].time + INTERVAL // 2, now)
        return len(missing)

    def _known(self, where: Where) -> LRU[_Key, tuple[int, int]]:
        """What was told; of the time before the hub's start, the gaps say it."""
        if self._told is None:
            told: LRU[_Key, tuple[int, int]] = LRU(_MAX_KNOWN)
            for row in self._fetch.rows(sql.told(where.begin), 2 * sql.MAX_CANARIES):
                until = int(row["until"])
                key = str(row["container_id"]), str(row["what"])
                told[key] = (until - BOUND + INTERVAL // 2, until)
            self._told = told
        return self._told

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            try:
                self.look()
            except StoreError as error:
                _log.warning("could not look after the canaries: %s", error.brief)
            except QuestionError as error:
                _log.warning("could not look after the canaries: %s", error)


def _show(found: list[Canary]) -> None:
    for one in found:
        for kind in KINDS:
            if beats := one.beats[kind]:
                LAST.labels(one.names["node"], kind).set(max(beats.values()) / SECOND)


def _stretches(missing: list[Beat]) -> Iterator[list[Beat]]:
    """Beats that follow on one another, together."""
    stretch = missing[:1]
    for beat in missing[1:]:
        if beat.time - stretch[-1].time > INTERVAL + INTERVAL // 2:
            yield stretch
            stretch = []
        stretch.append(beat)
    yield stretch


def _gap(one: Canary, kind: Kind, stretch: list[Beat]) -> Gap:
    identity = Identity(container_id=one.container_id, **one.names)  # type: ignore[arg-type]  # all of them are text
    begin, end = stretch[0].time, stretch[-1].time + BOUND
    detail = f"{_beats(stretch)} of canary {one.container_id[:12]}"
    return Gap(_WHAT[kind], "canary_missing", begin, end, len(stretch), "intervals", identity, detail)


def _beats(stretch: list[Beat]) -> str:
    first, last = stretch[0].number, stretch[-1].number
    if not first:
        return f"{len(stretch)} beats from {rfc3339(stretch[0].time)}, nothing was heard,"
    return f"beat {first}" if first == last else f"beats {first} to {last}"
