"""Group commit: one thread for each table writes what waits as few, large, durable parts.

The highest stored sequence number of each spool decides what is new; after a restart the store
itself tells it. A batch is acknowledged only when its part is on disk.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from keelwatch.ingest import metrics
from keelwatch.ingest.agents import place_of
from keelwatch.ingest.dedupe import Plan, Ticket, Waiting, next_group, plan, settle
from keelwatch.ingest.quarantine import Quarantine
from keelwatch.ingest.recorder import Recorder
from keelwatch.ingest.unpack import Received, day_start, discard
from keelwatch.kit import faults
from keelwatch.model.gap import Gap
from keelwatch.store.database import QUERY_TOO_LARGE, Database, Insertion, Source, StoreError, printable

_log = logging.getLogger(__name__)

# Errors that say nothing about the batch: no code of the engine's at all (it was not reached), files,
# network, shutting down, disk, too many parts, cancelled, the operating system.
_NOT_THE_BATCH = frozenset({0, 74, 75, 76, 209, 210, 236, 243, 252, 394, 425, 1001})

_MOST_QUARANTINED = 10_000

_THIS_BATCH = "spool = {spool:String} AND seq = {seq:UInt64}"


class StoreUnavailableError(RuntimeError):
    """The store cannot write now; nothing of the batch is stored."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Seconds and bytes. `hold` is how long a batch waits for its predecessor.

    `window` is how long a part is gathered, unless it has `enough` bytes before.
    """

    window: float = 0.1
    enough: int = 8 << 20
    hold: float = 5.0
    group_bytes: int = 64 << 20


class TableWriter:
    """The only writer of agents' batches to one table."""

    def __init__(
        self,
        table: str,
        database: Database,
        recorder: Recorder,
        quarantine: Quarantine,
        settings: WriterSettings,
    ) -> None:
        self.table = table
        self._database = database
        self._recorder = recorder
        self._quarantine = quarantine
        self._settings = settings
        self._queue: queue.SimpleQueue[Sequence[Waiting] | None] = queue.SimpleQueue()
        self._held: list[Waiting] = []
        self._highest = stored_highest(database, table)
        self._total = self._count()
        self._unsure = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"write-{table}", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, batches: Sequence[Received]) -> list[Waiting]:
        """Hand the batches of a request over; their ticket ends when all of them are durable."""
        until = time.monotonic() + self._settings.hold
        ticket = Ticket(len(batches))
        waiting = [Waiting(batch, until, ticket) for batch in batches]
        metrics.QUEUED_BATCHES.labels(self.table).inc(len(waiting))
        self._queue.put(waiting)
        return waiting

    def highest(self) -> dict[str, int]:
        """The highest stored sequence number of each spool."""
        return dict(self._highest)

    def _run(self) -> None:
        while not (self._stopping and not self._held):
            waiting = self._collect()
            try:
                self._write_all(waiting)
            except Exception as error:  # whatever it was, nobody may wait for ever
                self._fail(waiting, error)

    def _collect(self) -> list[Waiting]:
        """Wait for work, then a moment longer for more of it."""
        waiting, self._held = self._held, []
        size = 0
        deadline = time.monotonic() + (self._settings.window if waiting else 3600.0)
        while size < self._settings.group_bytes and not self._stopping:
            try:
                left = 0.0 if size >= self._settings.enough else deadline - time.monotonic()
                more = self._queue.get(timeout=max(0.0, left))
            except queue.Empty:
                break
            if more is None:
                self._stopping = True
                break
            size += sum(item.batch.size for item in more)
            waiting.extend(more)
            deadline = min(deadline, time.monotonic() + self._settings.window)
        return waiting

    def _write_all(self, waiting: Sequence[Waiting]) -> None:
        if self._unsure:
            self._learn()
        now = float("inf") if self._stopping else time.monotonic()
        todo: Plan = plan(waiting, self._highest, now)
        self._held = todo.held
        ready = self._repeats(todo.repeats) + todo.ready
        for item, expected in todo.jumps:
            self._report_jump(item.batch, expected)
        while ready:
            group, ready = next_group(ready, self._settings.group_bytes if self._database.groups else -1)
            self._insert(group)

    def _learn(self) -> None:
        """Take from the store what an insertion with an error may have left there after all."""
        for spool, seq in stored_highest(self._database, self.table).items():
            self._highest[spool] = max(seq, self._highest.get(spool, 0))
        self._unsure = False

    def _fail(self, waiting: Sequence[Waiting], error: Exception) -> None:
        """Nothing that waits may overtake what failed, so all of it fails; agents send it again."""
        self._unsure = True
        reason = error.brief if isinstance(error, StoreError) else str(error)
        _log.error("could not write to %s: %s", self.table, reason)
        open_items = [item for item in waiting if not item.settled]
        self._held = []
        for item in open_items:
            metrics.BATCHES.labels(self.table, "failed").inc()
            self._done(item)
        settle(open_items, StoreUnavailableError(reason))

    def _repeats(self, items: Sequence[Waiting]) -> list[Waiting]:
        """Acknowledge what is stored; return what fills a hole that an earlier jump left."""
        missing = [item for item in items if not self._is_stored(item.batch)]
        for item in items:
            if item not in missing:
                metrics.BATCHES.labels(self.table, "repeated").inc()
                self._done(item)
                settle([item])
        return missing

    def _is_stored(self, batch: Received) -> bool:
        if batch.header.rows == 0:
            return True
        rows = self._database.lookup(
            f"SELECT 1 FROM {self.table} WHERE {_THIS_BATCH} LIMIT 1",
            {"spool": batch.spool, "seq": batch.seq},
        )
        return bool(rows)

    def _insert(self, group: Sequence[Waiting]) -> None:
        """Write a group as one part; halve it around a batch that the engine cannot read."""
        insertion = _insertion([item.batch for item in group])
        faults.point("ingest.before_insert")
        begun = time.monotonic()
        try:
            self._database.insert(insertion)
        except StoreError as error:
            self._after_error(group, insertion, error)
            return
        faults.point("ingest.after_insert")
        metrics.INSERT_SECONDS.labels(self.table).observe(time.monotonic() - begun)
        self._stored(group, "stored")
        self._check_count(insertion)

    def _after_error(self, group: Sequence[Waiting], insertion: Insertion, error: StoreError) -> None:
        some = next((item.batch for item in group if item.batch.header.rows), None)
        if some and self._is_stored(some):  # only the answer got lost: a group is there whole or not at all
            self._stored(group, "stored")
            return
        if not _may_be_the_batch(error):
            raise error
        if len(group) > 1:
            middle = len(group) // 2
            self._insert(group[:middle])
            self._insert(group[middle:])
            return
        reason = error if error.code == QUERY_TOO_LARGE else self._unreadable(insertion)
        if reason is None:
            raise error
        self._set_aside(group[0], str(reason))

    def _unreadable(self, insertion: Insertion) -> StoreError | None:
        """Why the engine cannot even read a batch, if that is so."""
        try:
            self._database.readable(insertion)
        except StoreError as reason:
            if not _may_be_the_batch(reason):
                raise
            return reason
        return None

    def _set_aside(self, item: Waiting, reason: str) -> None:
        """Keep a batch that the engine cannot read, say so in a gap, and go on."""
        batch = item.batch
        _log.error("batch %s of %s set aside: %s", item.key, self.table, printable(reason, 300))
        detail = f"spool {batch.spool} seq {batch.seq}: set aside by the hub"
        self._recorder.record_once(self._gap(batch, "rejected", batch.header.rows, "rows", detail))
        self._quarantine.keep(batch, reason)
        faults.point("ingest.set_aside")
        self._stored([item], "rejected")

    def _stored(self, group: Sequence[Waiting], outcome: str) -> None:
        """Nothing may come between a durable part and this: what is forgotten here is stored twice."""
        for item in group:
            batch = item.batch
            self._highest[batch.spool] = max(batch.seq, self._highest.get(batch.spool, 0))
        settle(group)
        for item in group:
            batch = item.batch
            metrics.BATCHES.labels(self.table, outcome).inc()
            if outcome == "stored":
                metrics.ROWS.labels(self.table).inc(batch.header.rows)
                metrics.RAW_BYTES.labels(self.table).inc(batch.header.raw)
            self._done(item)

    def _done(self, item: Waiting) -> None:
        discard([item.batch])
        metrics.QUEUED_BATCHES.labels(self.table).dec()

    def _report_jump(self, batch: Received, expected: int) -> None:
        detail = f"spool {batch.spool} seq {expected} to {batch.seq - 1}"
        amount = batch.seq - expected
        if amount <= _MOST_QUARANTINED:  # those set aside have gaps of their own
            aside = (self._quarantine.has(self.table, batch.spool, n) for n in range(expected, batch.seq))
            amount -= sum(aside)
        if not amount:
            return
        self._recorder.record_once(self._gap(batch, "sequence", amount, "batches", detail))

    def _gap(self, batch: Received, cause: str, amount: int, unit: str, detail: str) -> Gap:
        now = time.time_ns()
        whose = place_of(self._database, batch.spool, batch.header.node)
        return Gap(self.table, cause, day_start(batch.header.day), now, amount, unit, whose, detail)

    def _check_count(self, insertion: Insertion) -> None:
        """Compare the rows that the table gained with what the headers said, as well as that goes now."""
        try:
            before, self._total = self._total, self._count()
            if self._total - before == sum(source.rows for source in insertion.sources):
                return
            for source in insertion.sources:  # the total can be of another time, so ask for each batch
                self._report_count(insertion, source, self._rows_of(source))
        except Exception as error:  # the batches are stored, whatever happens to the question
            reason = error.brief if isinstance(error, StoreError) else str(error)
            _log.warning("could not count what was stored in %s: %s", self.table, reason)

    def _report_count(self, insertion: Insertion, source: Source, stored: int) -> None:
        if stored == source.rows:
            return
        detail = f"spool {source.spool} seq {source.seq}: {source.rows} rows announced, {stored} stored"
        whose = place_of(self._database, source.spool, source.node)
        gap = Gap(
            self.table, "row_count", insertion.fallback_time, time.time_ns(),
            abs(stored - source.rows), "rows", whose, detail,
        )  # fmt: skip
        self._recorder.record_once(gap)

    def _rows_of(self, source: Source) -> int:
        rows = self._database.lookup(
            f"SELECT count() AS rows FROM {self.table} WHERE {_THIS_BATCH}",
            {"spool": source.spool, "seq": source.seq},
        )
        return int(rows[0]["rows"])

    def _count(self) -> int:
        return int(self._database.lookup(f"SELECT count() AS rows FROM {self.table}")[0]["rows"])


def stored_highest(database: Database, table: str) -> dict[str, int]:
    """The highest stored sequence number by spool: the truth after a restart."""
    rows = database.lookup(f"SELECT spool, max(seq) AS seq FROM {table} GROUP BY spool")
    return {row["spool"]: int(row["seq"]) for row in rows}


def _may_be_the_batch(error: StoreError) -> bool:
    """Whether an error can come from the batch's bytes, rather than from the store's state."""
    whole_store = error.code == QUERY_TOO_LARGE and "(total)" in str(error)
    return error.code not in _NOT_THE_BATCH and not whole_store


def _insertion(batches: Sequence[Received]) -> Insertion:
    header = batches[0].header
    sources = [
        Source(batch.path, batch.spool, batch.seq, batch.header.rows, batch.header.node, batch.size)
        for batch in batches
    ]
    return Insertion(header.table, header.format, header.day, sources, day_start(header.day))
