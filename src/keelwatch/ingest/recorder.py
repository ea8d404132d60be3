"""What the hub itself records (gaps, objects, audit …): rows like all others, in a spool of its own."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import zstandard

from keelwatch.ingest.auth import write_private
from keelwatch.ingest.metrics import GAPS
from keelwatch.ingest.unpack import day_start
from keelwatch.kit import faults
from keelwatch.model.gap import CAUSES, Gap
from keelwatch.store.database import Database, Insertion, Source

Row: TypeAlias = Mapping[str, Any]


@dataclass(slots=True)
class _Table:
    """How far the hub's own rows of a table go; `unsure` after an insertion that may be there or not."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    seq: int = -1
    unsure: bool = True


class Recorder:
    """Writes the hub's own rows at once, in a spool of its own (`spool`), as agents' batches are written."""

    def __init__(self, database: Database, data: Path, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self.spool = _spool(data / "hub.id")
        self._lock = threading.Lock()
        self._tables: dict[str, _Table] = {}

    def record(self, gaps: Sequence[Gap]) -> None:
        """Store gaps, durable when this returns."""
        unknown = {gap.cause for gap in gaps} - CAUSES.keys()
        if unknown:
            raise ValueError(f"causes that model.gap does not know: {unknown}")
        self.write("gaps", [gap.columns() for gap in gaps])
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

    def write(self, table: str, rows: Sequence[Row]) -> None:
        """Store rows of any table, all or none of them, durable when this returns.

        A row's keys are columns of the table, times are nanoseconds since the epoch; the origin
        (spool, seq, row, day) is added. Behind a StoreError it is not known whether they are there.
        """
        if not rows:
            return
        own = self._table(table)
        with own.lock:
            if own.unsure:  # an insertion with an error may be there all the same
                own.seq = self._stored(table)
            own.unsure = True
            self._insert(table, own.seq + 1, rows)
            own.seq, own.unsure = own.seq + 1, False

    def highest(self, table: str) -> int:
        """The highest stored number of the hub's own batches of a table; 0 when there is none."""
        own = self._table(table)
        if own.seq < 0:
            with own.lock:
                own.seq = max(own.seq, self._stored(table))
        return own.seq

    def _table(self, table: str) -> _Table:
        with self._lock:
            return self._tables.setdefault(table, _Table())

    def _insert(self, table: str, seq: int, rows: Sequence[Row]) -> None:
        day = datetime.fromtimestamp(time.time(), tz=UTC).date().isoformat()
        body = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        path = self._folder / table / f"{self.spool}~{seq}~hub.zst"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(zstandard.ZstdCompressor(level=1).compress(body))
        try:
            source = Source(path, self.spool, seq, len(rows))
            self._database.insert(Insertion(table, "rows", day, [source], day_start(day)))
        finally:
            path.unlink(missing_ok=True)
        faults.point("ingest.own_stored")

    def _stored(self, table: str) -> int:
        rows = self._database.lookup(
            f"SELECT max(seq) AS seq FROM {table} WHERE spool = {{spool:String}}", {"spool": self.spool}
        )
        return int(rows[0]["seq"])


def _spool(path: Path) -> str:
    """The hub's spool id, made once."""
    if not path.exists():
        write_private(path, f"hub-{uuid.uuid4()}\n".encode())
    return path.read_text(encoding="utf-8").strip()
