"""Rows on their way to the spool: gathered for a moment, then made durable together."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict

from keelwatch.agent.records import Row
from keelwatch.kit.worker import Worker
from keelwatch.model.gap import Gap
from keelwatch.ship.freeze import rows_draft
from keelwatch.ship.spool import Spool

log = logging.getLogger(__name__)
INTERVAL = 0.1
"""Seconds that rows are gathered: what an fsync costs is paid ten times a second at most."""
MAX_ROWS = 20_000
"""Rows held in memory. Beyond, producers wait: the ring buffer then fills, which is counted."""


class Outbox:
    """Thread-safe. `flush` is called by one thread only, so batches keep their order."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._rows: defaultdict[str, list[Row]] = defaultdict(list)
        self._count = 0
        self._room = threading.Condition()
        self._worker = Worker("outbox", self._step, INTERVAL)

    def start(self) -> None:
        """Start flushing."""
        self._worker.start()

    def stop(self) -> None:
        """Flush what is held, then end."""
        self._worker.stop()
        self.flush()

    def add(self, table: str, row: Row) -> None:
        """Queue one row; wait while MAX_ROWS are held."""
        with self._room:
            self._room.wait_for(lambda: self._count < MAX_ROWS or self._worker.closing.is_set())
            self._rows[table].append(row)
            self._count += 1

    def gap(self, gap: Gap) -> None:
        """Queue a gap."""
        self.add("gaps", gap.columns())

    def flush(self) -> None:
        """Make everything queued durable in the spool."""
        with self._room:
            rows, self._rows, self._count = self._rows, defaultdict(list), 0
            self._room.notify_all()
        for table, held in rows.items():
            self._keep(table, held)

    def _keep(self, table: str, rows: list[Row]) -> None:
        try:
            self._spool.append(rows_draft(table, rows))
        except Exception:  # the other tables' rows must be kept all the same
            self._spool.note_loss(table, "fault", len(rows))
            log.exception("%d rows of %s could not be kept", len(rows), table)

    def _step(self) -> bool:
        self.flush()
        return False
