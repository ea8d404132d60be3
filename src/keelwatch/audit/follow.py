"""Reads an audit log file of the API server to its end, again and again, across its rotations.

The API server renames a full file (`audit.log` → `audit-2026-01-02T03-04-05.678.log`, later perhaps
compressed) and begins a new one. How far a file was read is kept in the data folder once that is
stored; what is read twice after a crash is known by its name (seen.py). So nothing is lost or doubled.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from concurrent.futures import TimeoutError as NotYetError
from pathlib import Path

from keelwatch.audit import metrics
from keelwatch.audit.logfile import LogFile, load_position, newer_than, save_position, successor
from keelwatch.audit.parse import InvalidError, Parsed, parse_lines
from keelwatch.audit.writer import AuditWriter, UnavailableError
from keelwatch.ingest.recorder import Recorder
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.store.database import StoreError

_log = logging.getLogger(__name__)
POLL_SECONDS = 0.5
RETRY_SECONDS = 2.0


class Follower:
    """A thread for one audit log file."""

    def __init__(
        self, path: Path, writer: AuditWriter, recorder: Recorder, folder: Path, cluster: str = ""
    ) -> None:
        self.path = path
        self._writer = writer
        self._recorder = recorder
        self._cluster = cluster
        self._mark = folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.json"
        self._file: LogFile | None = None
        self.problem = ""  # why the file cannot be read; "" while it can
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-file", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End, where the last stored line ends."""
        self._stopping.set()
        self._thread.join()
        if self._file is not None:
            self._file.close()

    def step(self) -> bool:
        """Read and store a piece; whether there was one. Raise OSError if the file cannot be read."""
        if self._file is None:
            self._file = self._begin()
        metrics.BEHIND.labels(str(self.path)).set(self._file.behind())
        if self._file.was_cut():
            self._gap(f"{self._file.path} became shorter than what was read of it")
            self._file.restart()
        rotated = self._file.replaced_by(self.path)  # asked before reading: what is read then is all
        piece = self._file.read()
        if piece or (rotated and self._file.rest()):
            return self._store(self._file, piece or self._file.take_rest())
        if rotated:
            self._go_on(self._file)
        return rotated

    def _begin(self) -> LogFile:
        """Where the last run ended, else the beginning of the file."""
        kept = load_position(self._mark)
        if kept is None:
            return LogFile.open(self.path)
        found = kept.find(self.path)
        if found is not None:
            return found
        self._gap(f"the file that was read to byte {kept.offset} is gone")
        return LogFile.open(newer_than(self.path, kept.read_until))

    def _go_on(self, file: LogFile) -> None:
        """The file was read to its end and replaced: begin the next one."""
        following = successor(self.path, file) or newer_than(self.path, file.modified())
        opened = LogFile.open(following)
        file.close()
        self._file = opened
        save_position(self._mark, opened.position())

    def _store(self, file: LogFile, piece: bytes) -> bool:
        """Hand a piece over; when it is durable, note that it was read."""
        parsed = self._parse(file, piece)
        while not self._stopping.is_set():
            outcome = self._writer.submit(parsed, "file", f"{file.path.name} byte {file.offset}")
            if self._durable(outcome):
                file.advance()
                save_position(self._mark, file.position())
                return True
            self._stopping.wait(RETRY_SECONDS)
        return False

    @staticmethod
    def _parse(file: LogFile, piece: bytes) -> Parsed:
        if file.too_long:
            place = f"{file.path.name} at byte {file.offset}"
            return Parsed(mistakes=[InvalidError(place, "a line longer than is read")])
        return parse_lines(piece, file.path.name, file.offset)

    def _durable(self, outcome: object) -> bool:
        while True:
            try:
                outcome.result(timeout=1.0)  # type: ignore[attr-defined]
            except NotYetError:
                if self._stopping.is_set():
                    return False
            except UnavailableError:
                return False
            else:
                return True

    def _gap(self, detail: str) -> None:
        now = time.time_ns()
        kept = load_position(self._mark)
        begin = kept.read_until if kept else now
        who = Identity(cluster=self._cluster)
        self._recorder.record([Gap("audit", "audit_file", begin, now, 1, "files", who, detail)])

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                more = self.step()
                self._tell("")
            except (OSError, EOFError, StoreError) as error:
                more = False
                self._tell(getattr(error, "strerror", None) or str(error))
            if not more:
                self._stopping.wait(POLL_SECONDS)

    def _tell(self, problem: str) -> None:
        """Log a problem once, and its end."""
        if problem == self.problem:
            return
        self.problem = problem
        if problem:
            _log.warning("the audit log %s cannot be read now: %s", self.path, problem)
        else:
            _log.info("the audit log %s is read again", self.path)
