"""The hub's own gaps: rows like all others, in a spool of the hub's own."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import zstandard

from keelwatch.ingest.auth import write_private
from keelwatch.ingest.metrics import GAPS
from keelwatch.ingest.receive import day_start
from keelwatch.kit import faults
from keelwatch.model.gap import CAUSES, Gap
from keelwatch.store.database import Database, Insertion, Source


class Recorder:
    """Writes gaps at once, and some of them only once, whatever is repeated after a crash.

    `spool` is the hub's own, `seq` its highest stored number in the table of gaps.
    """

    def __init__(self, database: Database, data: Path, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._lock = threading.Lock()
        self.spool = _spool(data / "hub.id")
        self.seq = self._stored()
        self._unsure = False

    def record(self, gaps: Sequence[Gap]) -> None:
        """Store gaps, durable when this returns. They must be of one day's making (now)."""
        if not gaps:
            return
        with self._lock:
            self._insert(gaps)
        for gap in gaps:
            GAPS.labels(gap.cause).inc(gap.amount)

    def record_once(self, gap: Gap) -> None:
        """Store a gap unless one with the same cause, what and detail is there."""
        rows = self._database.lookup(
            "SELECT count() AS found FROM gaps WHERE cause = {cause:String} AND what = {what:String} "
            "AND detail = {detail:String}",
            {"cause": gap.cause, "what": gap.what, "detail": gap.detail},
        )
        if not int(rows[0]["found"]):
            self.record([gap])

    def _insert(self, gaps: Sequence[Gap]) -> None:
        unknown = {gap.cause for gap in gaps} - CAUSES.keys()
        if unknown:
            raise ValueError(f"causes that model.gap does not know: {unknown}")
        if self._unsure:  # an insertion with an error may be there all the same
            self.seq = self._stored()
        seq = self.seq + 1
        day = datetime.fromtimestamp(time.time(), tz=UTC).date().isoformat()
        body = b"".join(orjson.dumps(gap.columns()) + b"\n" for gap in gaps)
        path = self._folder / "gaps" / f"{self.spool}~{seq}~hub.zst"
        path.write_bytes(zstandard.ZstdCompressor(level=1).compress(body))
        self._unsure = True
        try:
            source = Source(path, self.spool, seq, len(gaps))
            self._database.insert(Insertion("gaps", "rows", day, [source], day_start(day)))
        finally:
            path.unlink(missing_ok=True)
        faults.point("ingest.gap_stored")
        self.seq, self._unsure = seq, False

    def _stored(self) -> int:
        rows = self._database.lookup(
            "SELECT max(seq) AS seq FROM gaps WHERE spool = {spool:String}", {"spool": self.spool}
        )
        return int(rows[0]["seq"])


def _spool(path: Path) -> str:
    """The hub's spool id, made once."""
    if not path.exists():
        write_private(path, f"hub-{uuid.uuid4()}\n".encode())
    return path.read_text(encoding="utf-8").strip()
