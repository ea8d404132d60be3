"""The hub's intake as one object: files, writers, gaps, and which agents were heard of."""

from __future__ import annotations

import logging
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from keelwatch.ingest import metrics
from keelwatch.ingest.agents import Agents, ForeignError, check_jump, check_node, check_spool
from keelwatch.ingest.clocks import Clocks
from keelwatch.ingest.dedupe import Waiting
from keelwatch.ingest.quarantine import Quarantine
from keelwatch.ingest.recorder import Recorder
from keelwatch.ingest.unpack import Received, discard, prepare, receive
from keelwatch.ingest.writer import TableWriter, WriterSettings
from keelwatch.kit import faults
from keelwatch.model.batch import TABLES
from keelwatch.store.database import Database

_log = logging.getLogger(__name__)


SMALL = 1 << 20
SPARE = 32 << 20
"""Bytes: small requests, which hold alerts and the like, still find room when logs have taken it all."""


class OverloadedError(RuntimeError):
    """The request cannot be taken now. `seconds` is when to try again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class DiskFullError(OverloadedError):
    """The disk has less room than the reserve."""


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """Bytes. `reserve` is the free disk space below which nothing is accepted."""

    in_flight: int = 256 << 20
    reserve: int = 256 << 20
    cluster: str = ""  # of the hub's own records
    writer: WriterSettings = field(default_factory=WriterSettings)


class Intake:
    """Takes requests of agents; `highest` and `agents` are for those who ask."""

    def __init__(self, database: Database, data: Path, settings: IntakeSettings | None = None) -> None:
        self._settings = settings or IntakeSettings()
        self._data = data
        self._folder = data / "ingest"
        prepare(self._folder, TABLES)
        self.recorder = Recorder(database, data, self._folder)
        quarantine = Quarantine(data / "quarantine")
        self._writers = {
            table: TableWriter(table, database, self.recorder, quarantine, self._settings.writer)
            for table in TABLES
        }
        self._lock = threading.Lock()
        self._in_flight = 0
        self.agents = Agents(database)
        self.clocks = Clocks(self.recorder, self._settings.cluster)

    def start(self) -> None:
        """Start the writers."""
        for writer in self._writers.values():
            writer.start()
        self.clocks.start()

    def stop(self) -> None:
        """Write what was received, then end."""
        self.clocks.stop()
        for writer in self._writers.values():
            writer.stop()

    def reserve(self, size: int) -> None:
        """Count `size` bytes as in flight; raise OverloadedError if that is too much, or no disk."""
        free = shutil.disk_usage(self._data).free
        if free < self._settings.reserve:
            raise DiskFullError(f"the hub's disk is full: {free} bytes are free at {self._data}", 30)
        with self._lock:
            room = self._settings.in_flight + (SPARE if size <= SMALL else 0)
            if self._in_flight + size > room and self._in_flight:
                raise OverloadedError("too many batches wait to be stored", 1)
            self._in_flight += size
        metrics.QUEUED_BYTES.inc(size)

    def release(self, size: int) -> None:
        """The request of `size` bytes was answered."""
        with self._lock:
            self._in_flight -= size
        metrics.QUEUED_BYTES.dec(size)

    def accept(self, data: bytes | bytearray, address: str, node: str = "") -> list[Waiting]:
        """Check and queue the frames of a request; raise RejectedError or ForeignError for all of it.

        `node` is the only one the sender may speak for, "" if that is not known.
        """
        batches = receive(data, self._folder)
        faults.point("ingest.received")
        metrics.WIRE_BYTES.inc(len(data))
        self._check(batches, address, node)
        waiting: list[Waiting] = []
        for table in dict.fromkeys(batch.header.table for batch in batches):
            waiting += self._writers[table].submit([b for b in batches if b.header.table == table])
        return waiting

    def highest(self, table: str) -> dict[str, int]:
        """The highest stored sequence number by spool: what a follower has not seen lies above."""
        found = self._writers[table].highest() if table in self._writers else {}
        if own := self.recorder.highest(table):
            found[self.recorder.spool] = own
        return found

    def stored(self, spool: str) -> dict[str, int]:
        """The highest stored sequence number of a spool, by table."""
        return {table: seq for table in TABLES if (seq := self.highest(table).get(spool, 0))}

    def _check(self, batches: list[Received], address: str, node: str) -> None:
        """Raise ForeignError, with nothing left behind, if batches cannot be of this spool."""
        try:
            check_node(batches, node)
            check_spool(batches, self.recorder.spool)
            check_jump(batches, self.stored(batches[0].spool))
            self.agents.sent(batches, address)
        except ForeignError as error:
            discard(batches)
            _log.warning("refused batches from %s: %s", address, error)
            raise
