"""Equal alerts of one container arrive as one: the first at once, the rest as a count.

Equal means the same rule, container, program and path. The first firing in each tree of processes (each
exec into the container is one, and may be another user's) is sent at once, too, for the first few trees.
The sum of `count` over the alerts stored is the number of firings; nothing is left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from keelwatch.model.event import Alert

WINDOW = 60.0
MAX_OPEN = 5000
MAX_TREES = 4
"""Trees whose first firing is sent in one window: an exec probe makes a new tree every few seconds."""

_Key = tuple[str, str, str, str]
_Tree = tuple[int, int]


@dataclass(slots=True)
class _Open:
    until: float
    last: Alert | None = None
    count: int = 0
    trees: set[_Tree] = field(default_factory=set)


class Repeats:
    """Thread-safe: events are detected on two threads."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._open: dict[_Key, _Open] = {}
        self._lock = threading.Lock()

    def take(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Return those to send now; the others are counted until their window ends."""
        now = time.monotonic()
        with self._lock:
            return [alert for alert in alerts if self._first(alert, now)]

    def due(self, now: float | None = None) -> list[Alert]:
        """Return one alert, with its count, for each window that has ended and saw repeats."""
        now = time.monotonic() if now is None else now
        with self._lock:
            over = [key for key, at in self._open.items() if at.until <= now]
            ended = [self._open.pop(key) for key in over]
        return [replace(at.last, count=at.count) for at in ended if at.last is not None]

    def _first(self, alert: Alert, now: float) -> bool:
        at = self._open.get(_key(alert))
        if at is None or at.until <= now:
            if at is not None and at.last is not None:
                return self._merge(at, alert)
            if len(self._open) < MAX_OPEN:
                self._open[_key(alert)] = _Open(now + self._window, trees={_tree(alert)})
            return True
        if len(at.trees) < MAX_TREES and _tree(alert) not in at.trees:
            at.trees.add(_tree(alert))
            return True
        return self._merge(at, alert)

    @staticmethod
    def _merge(at: _Open, alert: Alert) -> bool:
        at.last = alert
        at.count += 1
        return False


def _tree(alert: Alert) -> _Tree:
    process = alert.event.process
    return (process.entry_pid, process.entry_start)


def _key(alert: Alert) -> _Key:
    event = alert.event
    return (alert.rule, event.process.container_id, event.process.exe, event.path)
