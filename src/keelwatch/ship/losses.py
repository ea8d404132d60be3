"""Losses that wait to be written down: added up by table and cause, handed out as gaps."""

from __future__ import annotations

from dataclasses import dataclass

from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity


@dataclass(slots=True)
class _Loss:
    amount: int
    first: int
    last: int
    detail: str


class Losses:
    """Not thread-safe: the owner's lock guards it."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._losses: dict[tuple[str, str, str], _Loss] = {}
        self.total: dict[tuple[str, str], int] = {}  # (what, cause) -> amount since the start

    def add(self, what: str, cause: str, amount: int, unit: str = "rows", detail: str = "") -> None:
        """Count `amount` more; the first detail is the one kept."""
        now = clock.now()
        loss = self._losses.setdefault((what, cause, unit), _Loss(0, now, now, detail))
        loss.amount += amount
        loss.last = now
        self.total[what, cause] = self.total.get((what, cause), 0) + amount

    def gaps(self) -> list[Gap]:
        """What has been added up, as gaps; `settle` forgets it once they are durable."""
        return [
            Gap(what, cause, loss.first, loss.last, loss.amount, unit, self._identity, loss.detail)
            for (what, cause, unit), loss in self._losses.items()
        ]

    def settle(self) -> None:
        """Forget what `gaps` returned."""
        self._losses.clear()
