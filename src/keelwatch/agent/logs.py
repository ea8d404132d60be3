"""The logs' thread: follow log files, freeze what was read with its read positions, wait when full."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from keelwatch.agent.log_roots import LogRoots, path_stream
from keelwatch.capture.logs import Follower, LogRound, LogTarget
from keelwatch.enrich.catalog import Container
from keelwatch.kit.lru import LRU
from keelwatch.kit.worker import Worker
from keelwatch.ship.freeze import gap_drafts, log_drafts
from keelwatch.ship.spool import Spool, SpoolFullError

log = logging.getLogger(__name__)
BUDGET = 6 << 20
"""Bytes read in a round: what one fsync pays for."""
MAX_ENDED = 5_000
REST = 0.4
"""Seconds between rounds that found little: each costs an fsync here, and the hub a batch."""
MUCH = BUDGET // 8
"""Bytes of a round that the next one follows at once. Docker can empty a file in place, and what was not
read by then is gone: beside such logs whatever was found is followed at once."""


class LogThread:
    """Containers are announced by housekeeping; files are read here."""

    def __init__(self, spool: Spool, follower: Follower, roots: LogRoots | None = None) -> None:
        self._spool = spool
        self._follower = follower
        self._roots = roots
        self._names: dict[str, str] = {}  # container → stream
        self._ended = LRU[str, str](MAX_ENDED)
        self._emptied_in_place = False
        self._worker = Worker("logs", self._round, REST)
        self.bytes = 0
        self.waits = 0
        self.problem = ""

    def start(self) -> None:
        """Start reading."""
        self._worker.start()

    def stop(self) -> None:
        """End after the round under way."""
        self._worker.stop()

    def watch(self, at: Container, hold: float = 0.0) -> None:
        """Follow the log of a container, or learn its better identity.

        It is opened at once, and read when its identity is complete or `hold` seconds are over.
        """
        details = at.details
        if details is None or not details.log_path or not details.log_format:
            return
        self._emptied_in_place |= details.log_format == "json-file"
        path = Path(details.log_path)
        name = self._names[at.id] = path_stream(self._follower, path) or at.id
        not_before = time.monotonic() + hold if hold else 0.0
        self._follower.watch(LogTarget(name, path, details.log_format, at.identity, not_before))

    def learn(self, at: Container) -> None:
        """An ended container's identity became complete: use it for what is not read yet."""
        self._follower.update(self._ended.get(at.id, at.id), at.identity)

    def end(self, at: Container) -> None:
        """The container is gone: read its log to the end, then let go."""
        name = self._ended[at.id] = self._names.pop(at.id, at.id)
        self._follower.end(name)

    def look(self) -> None:
        """Look for logs that no known container writes."""
        if self._roots is not None:
            self._roots.look()

    def lag(self) -> int:
        """Bytes of open files that are not read yet."""
        return self._follower.lag

    def _round(self) -> bool:
        found = self._follower.read(BUDGET)
        if found:
            self._keep(found)
        self.bytes += found.size
        return found.size >= (1 if self._emptied_in_place else MUCH)

    def _keep(self, found: LogRound) -> None:
        """Make the round durable; while the spool is full the files wait on disk."""
        drafts = log_drafts(found.batches) + gap_drafts(found.gaps)
        while not self._worker.closing.is_set():
            try:
                self._spool.append(drafts, found.checkpoints)
            except SpoolFullError as error:
                self.waits += 1
                self._tell(str(error))
                self._follower.hold()  # new files are opened, so that what is deleted meanwhile is kept
                self._worker.closing.wait(REST)
            else:
                self._tell("")
                return

    def _tell(self, problem: str) -> None:
        if problem and not self.problem:
            log.warning("logs wait: %s", problem)
        self.problem = problem
