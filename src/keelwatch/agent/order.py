"""Puts the records of the two ring buffers into one order of time.

The rings are drained one after the other, so a record of the second may be older than the last of
the first. Records younger than the moment the drain began are held until the next one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable

from keelwatch.model.observation import Observation

SETTLE = 2_000_000
"""Nanoseconds between the time stamp of a record and the latest moment it is visible to a reader."""


class Order:
    """`push` what a drain returned, with the boot time at which it began; get what is settled."""

    def __init__(self) -> None:
        self._held: list[Observation] = []

    @property
    def holds(self) -> bool:
        """Whether any record waits to be settled."""
        return bool(self._held)

    def push(self, seen: Iterable[Observation], began: int) -> list[Observation]:
        """Return, oldest first, every record that no later drain can precede. Times: ns since boot."""
        self._held.extend(seen)
        self._held.sort(key=operator.attrgetter("time"))
        line = began - SETTLE
        cut = len(self._held)
        while cut and self._held[cut - 1].time > line:
            cut -= 1
        settled, self._held = self._held[:cut], self._held[cut:]
        return settled

    def drain(self) -> list[Observation]:
        """Return everything held: the last word before the end."""
        held, self._held = self._held, []
        return held
