"""What the sensor lost since the last look, as gaps: loss is data like any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity

SECOND = 1_000_000_000
FIRST, MINUTE = 5 * SECOND, 60 * SECOND

Totals = Mapping[tuple[str, str], int]
"""(event class, cause) → how many, ever growing."""


class LossMeter:
    """Turns growing totals into dated gaps."""

    def __init__(self, host: Identity) -> None:
        self._host = host
        self._before: dict[tuple[str, str], int] = {}
        self._since = clock.now()

    def sample(self, totals: Totals) -> Iterator[Gap]:
        """Yield a gap for each total that grew since the last sample."""
        now = clock.now()
        for (what, cause), total in totals.items():
            lost = total - self._before.get((what, cause), 0)
            if lost > 0:
                yield Gap(what, cause, self._since, now, lost, "events", self._host)
        self._before = dict(totals)
        self._since = now


class Blindness:
    """Without a sensor nothing is counted, so the time is the gap: one a minute, and one at the end."""

    def __init__(self, host: Identity, reason: str) -> None:
        self._host = host
        self._reason = reason
        self._since = clock.now()
        self._due = self._since + FIRST

    def sample(self, *, last: bool = False) -> Iterator[Gap]:
        """Yield the interval since the last one: the first soon, then one a minute, and the last."""
        now = clock.now()
        if not self._reason or (now < self._due and not last):
            return
        seconds = (now - self._since) // SECOND
        yield Gap(
            "events", "sensor_off", self._since, now, seconds, "seconds", self._host, self._reason[:1000]
        )
        self._since, self._due = now, now + MINUTE
