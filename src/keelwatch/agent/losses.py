"""What the sensor lost since the last look, as gaps: loss is data like any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity

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
