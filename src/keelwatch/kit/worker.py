"""A thread that repeats one step until it is stopped, and that no fault of a step can end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
AFTER_FAULT = 0.2


class Worker:
    """`step` returns whether it found work; when it did not, the thread rests for `idle` seconds.

    An exception is logged and counted in `faults`; the next step may succeed.
    """

    def __init__(self, name: str, step: Callable[[], bool], idle: float = 0.0) -> None:
        self._step = step
        self._idle = idle
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.faults = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End after the step under way, or leave it alone after `timeout` seconds."""
        self.closing.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self.closing.is_set():
            try:
                if not self._step():
                    self.closing.wait(self._idle)
            except Exception:
                self.faults += 1
                log.exception("a fault in thread %s", self._thread.name)
                self.closing.wait(AFTER_FAULT)
