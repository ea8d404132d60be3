"""Rows on their way to the spool: gathered for a moment, then made durable together."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict

from keelwatch.agent.late_identity import Completion
from keelwatch.agent.records import Row
from keelwatch.kit.worker import Worker
from keelwatch.model.gap import Gap
from keelwatch.ship.freeze import rows_draft
from keelwatch.ship.lanes import lane_of
from keelwatch.ship.spool import Spool

log = logging.getLogger(__name__)
INTERVAL = 0.1
"""Seconds that rows are gathered: what an fsync costs is paid ten times a second at most."""
EVENTS_INTERVAL = 0.5
"""Seconds that events are gathered when nothing is urgent: the hub pays for each batch, however small."""
MANY_ROWS = 2_000
"""Rows that are made durable without waiting for more."""
MAX_ROWS = 20_000
"""Rows held in memory. Beyond, producers wait: the ring buffer then fills, which is counted."""

MAX_HELD = MAX_ROWS // 2
"""Rows that may wait for their pod. Beyond, they go as they are, so that the pipeline never waits for it."""


class Outbox:
    """Thread-safe. `flush` is called by one thread only, so batches keep their order."""

    def __init__(self, spool: Spool, completion: Completion | None = None) -> None:
        self._spool = spool
        self._completion = completion
        self._held: defaultdict[str, list[Row]] = defaultdict(list)
        self._held_since = 0.0
        self._rows: defaultdict[str, list[Row]] = defaultdict(list)
        self._count = 0
        self._flushed = 0.0  # monotonic seconds
        self._room = threading.Condition()
        self._worker = Worker("outbox", self._step, INTERVAL)

    def start(self) -> None:
        """Start flushing."""
        self._worker.start()

    def stop(self) -> None:
        """Flush what is held, then end."""
        self._worker.stop()
        self.flush(last=True)

    def add(self, table: str, row: Row) -> None:
        """Queue one row; wait while MAX_ROWS are held."""
        with self._room:
            self._room.wait_for(lambda: self._count < MAX_ROWS or self._worker.closing.is_set())
            self._rows[table].append(row)
            self._count += 1

    def gap(self, gap: Gap) -> None:
        """Queue a gap."""
        self.add("gaps", gap.columns())

    def flush(self, *, last: bool = False) -> None:
        """Make what is queued durable in the spool; `last`: rows that wait for their pod, too."""
        with self._room:
            rows, self._rows = self._rows, defaultdict(list)
        last = last or sum(map(len, self._held.values())) > MAX_HELD
        for table in self._held.keys() | rows.keys():
            going = self._settled(table, [*self._held.pop(table, ()), *rows[table]], last=last)
            if going:
                self._keep(table, going)
        waiting = sum(map(len, self._held.values()))
        self._held_since = (self._held_since or time.time()) if waiting else 0.0
        with self._room:
            self._count = waiting + sum(map(len, self._rows.values()))
            self._room.notify_all()

    def held_seconds(self) -> float:
        """How long rows have been in memory because they wait for their pod."""
        since = self._held_since
        return max(0.0, time.time() - since) if since else 0.0

    def _settled(self, table: str, rows: list[Row], *, last: bool) -> list[Row]:
        """The rows that can go; the others are held."""
        completion = self._completion
        if completion is None or completion.idle:
            return rows
        going: list[Row] = []
        for row in rows:
            (going if completion.settle(table, row, last=last) else self._held[table]).append(row)
        return going

    def _keep(self, table: str, rows: list[Row]) -> None:
        try:
            self._spool.append(rows_draft(table, rows))
        except Exception:  # the other tables' rows must be kept all the same
            self._spool.note_loss(table, "fault", len(rows))
            log.exception("%d rows of %s could not be kept", len(rows), table)

    def _step(self) -> bool:
        if self._is_due():
            self.flush()
            self._flushed = time.monotonic()
        return False

    def _is_due(self) -> bool:
        """Whether anything urgent waits, or much, or anything long enough. Alerts take their events along."""
        with self._room:
            urgent = any(lane_of(table) == "prompt" for table in (*self._rows, *self._held))
            much = self._count >= MANY_ROWS
        return urgent or much or time.monotonic() - self._flushed >= EVENTS_INTERVAL
