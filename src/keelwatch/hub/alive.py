"""A file that is touched while the hub runs, so that the next start knows how long none did."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from keelwatch.ingest.recorder import Recorder
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity

_log = logging.getLogger(__name__)
BEAT_SECONDS = 5.0
LEAST_SECONDS = 2.0


class Alive:
    """Records the time without a hub as a gap, then keeps the file's time current."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self._path = path
        self._recorder = recorder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alive", daemon=True)

    def start(self) -> None:
        """Record the outage, if there was one, and begin to beat."""
        self._report()
        self._path.touch(mode=0o600)
        self._thread.start()

    def stop(self) -> None:
        """Beat a last time."""
        self._stopping.set()
        self._thread.join()
        self._path.touch()

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            try:
                self._path.touch()
            except OSError as error:
                _log.warning("cannot touch %s: %s", self._path, error)

    def _report(self) -> None:
        """The interval may be up to a beat too long after a kill, never too short."""
        if not self._path.exists():
            return
        last, now = self._path.stat().st_mtime_ns, time.time_ns()
        seconds = (now - last) // 1_000_000_000
        if seconds >= LEAST_SECONDS:
            self._recorder.record([Gap("hub", "hub_down", last, now, seconds, "seconds", Identity())])
