"""Keeps agents' signs of life: what the hub heard is in memory, and a restart must not forget it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keelwatch.query.errors import QuestionError
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
    """A thread that writes the signs that moved, once a minute and at the end.

    `kept` has when each agent was last heard of before this hub's start, so that a silence may span it.
    """

    def __init__(
        self,
        signs: Callable[[], Iterable[Sign]],
        write: Write,
        kept: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._signs = signs
        self._write = write
        self._read = kept
        self._kept: dict[str, float] | None = None
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
        if self._kept is None:
            self._kept = dict(self._read())
        kept = self._kept
        moved = [sign for sign in self._signs() if sign.time > kept.get(sign.agent, 0.0)]
        if moved:
            self._write("agent_signs", [_row(sign, kept.get(sign.agent, sign.time)) for sign in moved])
        for sign in moved:
            kept[sign.agent] = sign.time
        return len(moved)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(INTERVAL_SECONDS)
            try:
                self.keep()
            except StoreError as error:
                _log.warning("could not keep agents' signs of life: %s", error.brief)
            except QuestionError as error:
                _log.warning("could not keep agents' signs of life: %s", error)


def _row(sign: Sign, before: float) -> dict[str, Any]:
    times = {"time": int(sign.time * 1e9), "from_time": int(before * 1e9)}
    return {**times, "agent": sign.agent, "node": sign.node}
