"""Who was completed later (query.late), asked of the store now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from keelwatch.kit.lru import LRU
from keelwatch.query.errors import QuestionError
from keelwatch.query.late import ANY_OBJECTS, LATE_OWNERS, Late, late_owners
from keelwatch.query.times import NS, parse_time
from keelwatch.store.database import Database

FRESH = 3.0
"""Seconds for which an answer holds."""
MARGIN = 2 * 86_400 * NS
"""Incomplete records lie near their container's start, which may lie before the time asked for."""


class LateOwners:
    """Thread-safe. `clock` gives nanoseconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._known = LRU[int, tuple[float, Late]](64)
        self._any = False

    def owners(self, since: str = "") -> Late:
        """Those of records since then; none where there is no inventory."""
        day = self._day(since)
        with self._lock:
            asked, found = self._known.get(day, (0.0, ()))
            if asked and time.monotonic() - asked < FRESH:
                return found
            found = self._ask(day)
            self._known[day] = (time.monotonic(), found)
            return found

    def _ask(self, day: int) -> Late:
        if not self._any:
            self._any = bool(int(self._database.lookup(ANY_OBJECTS)[0]["found"]))
        if not self._any:
            return ()
        return late_owners(self._database.query(LATE_OWNERS, {"since": day}))

    def _day(self, since: str) -> int:
        """The beginning of the day from which lifecycle records are looked at; 0 for all."""
        if not since:
            return 0
        try:
            at = parse_time("since", since, self._clock()) - MARGIN
        except QuestionError:
            return 0  # the question itself will say what is wrong
        return max(0, at - at % (86_400 * NS))
