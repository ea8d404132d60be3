"""Equal alerts about requests arrive as one: the first at once, the rest as a count when a minute is over.

Equal means the same rule, user (and as whom), verb, target, container and command. The sum of `count`
over the alerts stored is the number of firings. One thread uses this; what it did can be taken back when
nothing of it was stored.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from keelwatch.audit.records import AuditAlert
from keelwatch.detect.fields.audit import command
from keelwatch.model.audit import AuditEvent

WINDOW = 60.0
MAX_OPEN = 5000

_Key = tuple[str, ...]
_TARGET = ("namespace", "resource", "subresource", "name")


@dataclass(frozen=True, slots=True)
class Open:
    """A window in which equal alerts are counted: `last` is what stands for them."""

    until: float
    last: AuditAlert | None = None
    count: int = 0


class Repeats:
    """Which alerts are told now, which are counted."""

    def __init__(self, window: float = WINDOW, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self.open: dict[_Key, Open] = {}

    def take(self, alerts: Iterable[AuditAlert]) -> list[AuditAlert]:
        """Return those to store now; the others are counted until their window ends."""
        now = self._clock()
        return [alert for alert in alerts if self._first(alert, now)]

    def due(self, *, all_of_them: bool = False) -> list[AuditAlert]:
        """End the windows that are over (or all) and return one alert for each that saw repeats."""
        now = self._clock()
        over = [key for key, at in self.open.items() if all_of_them or at.until <= now]
        ended = [self.open.pop(key) for key in over]
        return [replace(at.last, count=at.count) for at in ended if at.last is not None]

    def _first(self, alert: AuditAlert, now: float) -> bool:
        key = _key(alert)
        at = self.open.get(key)
        if at is not None and (at.until > now or at.last is not None):
            self.open[key] = replace(at, last=alert, count=at.count + 1)
            return False
        if at is not None or len(self.open) < MAX_OPEN:
            self.open[key] = Open(now + self._window)
        return True


def _key(alert: AuditAlert) -> _Key:
    event = alert.event
    users = (event.text(user, "username") for user in ("user", "impersonatedUser"))
    target = (event.text("objectRef", name) for name in _TARGET)
    return (alert.rule.name, *users, event.text("verb"), *target, _asked(event))


def _asked(event: AuditEvent) -> str:
    """What was asked of the target: by way of a node the path names the pod. A command can be long."""
    path = event.text("requestURI").partition("?")[0]
    parts = "\0".join((path, event.identity.container, command(event)))
    return hashlib.sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()
