"""Counts stored log lines that did not follow the runtime's format, and records them as gaps.

Such a line is stored as it is, with an empty stream. Counting is done now and then over the batches
that arrived since, because a count in each insertion would cost the fast path. What was stored in
the last interval before a kill is not counted as a gap; the lines themselves are there.
"""

from __future__ import annotations

import logging
import threading

from keelwatch.ingest.intake import Intake
from keelwatch.model.gap import Gap
from keelwatch.model.identity import IDENTITY_COLUMNS, Identity
from keelwatch.query.follow import advance, news
from keelwatch.query.invalid_lines import invalid_lines_query
from keelwatch.store.database import Database, StoreError

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 10.0


class InvalidLines:
    """A thread that looks at new batches of logs every INTERVAL_SECONDS."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake
        self._seen = intake.highest("logs")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="invalid-lines", daemon=True)

    def start(self) -> None:
        """Begin to count."""
        self._thread.start()

    def stop(self) -> None:
        """Count a last time, then end."""
        self._stopping.set()
        self._thread.join()

    def count(self) -> None:
        """Record the invalid lines of the batches that arrived since the last time."""
        stored = self._intake.highest("logs")
        while spans := news(self._seen, stored):
            found = invalid_lines_query(spans)
            rows = self._database.query(found.sql, found.parameters)
            self._intake.recorder.record([_gap(row) for row in rows])
            self._seen = advance(self._seen, spans)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(INTERVAL_SECONDS)
            try:
                self.count()
            except StoreError as error:
                _log.warning("could not count invalid lines: %s", error.brief)


def _gap(row: dict[str, object]) -> Gap:
    identity = Identity(**{name: row[name] for name in IDENTITY_COLUMNS})  # type: ignore[arg-type]
    first, last = int(str(row["first"])), int(str(row["last"]))
    detail = "stored as they are, with an empty stream"
    return Gap("logs", "line_invalid", first, last, int(str(row["lines"])), "lines", identity, detail)
