"""Which events and alerts are stored already: from memory, else from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from keelwatch.audit.records import AuditAlert
from keelwatch.kit.lru import LRU
from keelwatch.model.audit import AuditEvent, Key
from keelwatch.store.database import Database

T = TypeVar("T")

MAX_KEYS = 200_000
"""Names kept in memory (about 30 MB); older ones are looked up."""
PIECE = 1000

_SPAN = (
    "time >= fromUnixTimestamp64Nano({first:Int64}, 'UTC') AND "
    "time <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
)


class Seen:
    """The names of stored events. One thread uses it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: LRU[Key, None] = LRU(MAX_KEYS)

    def new(self, events: Iterable[AuditEvent]) -> list[AuditEvent]:
        """Those that are not stored, each once."""
        wanted: dict[Key, AuditEvent] = {}
        for event in events:
            if event.key not in self._keys:
                wanted.setdefault(event.key, event)
        there = self._stored(list(wanted.values()))
        for key in there:
            self._keys[key] = None
        return [event for key, event in wanted.items() if key not in there]

    def remember(self, events: Iterable[AuditEvent]) -> None:
        """These are stored now."""
        for event in events:
            self._keys[event.key] = None

    def _stored(self, events: Sequence[AuditEvent]) -> set[Key]:
        """The table is ordered by (time, audit_id), so this reads a few granules."""
        found: set[Key] = set()
        for piece in _pieces(sorted(events, key=lambda event: event.time)):
            rows = self._database.lookup(
                "SELECT audit_id, stage, toUnixTimestamp64Nano(time) AS at FROM audit "
                f"WHERE {_SPAN} AND audit_id IN {{ids:Array(String)}}",
                {
                    "first": piece[0].time,
                    "last": piece[-1].time,
                    "ids": sorted({event.key[0] for event in piece}),
                },
            )
            found |= {(row["audit_id"], row["stage"], int(row["at"])) for row in rows}
        return found


def stored_alerts(database: Database, alerts: Sequence[AuditAlert]) -> set[str]:
    """The ids of those that are stored already: a hub was killed behind storing them."""
    found: set[str] = set()
    for piece in _pieces(sorted(alerts, key=lambda alert: alert.event.time)):
        rows = database.lookup(
            f"SELECT id FROM alerts WHERE {_SPAN} AND id IN {{ids:Array(String)}}",
            {
                "first": piece[0].event.time,
                "last": piece[-1].event.time,
                "ids": [alert.id for alert in piece],
            },
        )
        found |= {row["id"] for row in rows}
    return found


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), PIECE):
        yield items[at : at + PIECE]
