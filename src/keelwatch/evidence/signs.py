"""Keeps agents' signs of life: what the hub heard is in memory, and a restart must not forget it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from keelwatch.store.database import StoreError

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 60.0
"""One part of the store a minute, however many agents there are."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Agent `agent` (its spool's id) of `node` was last heard of at `time`, seconds since the epoch."""

    agent: str
    node: str
    time: float


Write = Callable[[str, Sequence[dict[str, Any]]], None]


class SignKeeper:
    """A thread that writes the signs that moved, once a minute and at the end."""

    def __init__(self, signs: Callable[[], Iterable[Sign]], write: Write) -> None:
        self._signs = signs
        self._write = write
        self._kept: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write what moved a last time."""
        self._stopping.set()
        self._thread.join()

    def keep(self) -> int:
        """Write the signs that moved since the last time; return how many."""
        moved = [sign for sign in self._signs() if sign.time > self._kept.get(sign.agent, 0.0)]
        if moved:
            self._write("agent_signs", [self._row(sign) for sign in moved])
        for sign in moved:
            self._kept[sign.agent] = sign.time
        return len(moved)

    def _row(self, sign: Sign) -> dict[str, Any]:
        time = int(sign.time * 1e9)
        before = int(self._kept.get(sign.agent, sign.time) * 1e9)
        return {"time": time, "from_time": before, "agent": sign.agent, "node": sign.node}

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(INTERVAL_SECONDS)
            try:
                self.keep()
            except StoreError as error:
                _log.warning("could not keep agents' signs of life: %s", error.brief)
