"""Access sessions as the API and the pages ask for them, and whose doing alerts are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keelwatch.access import naming
from keelwatch.access.tree import trees
from keelwatch.query import access, records
from keelwatch.query.filter import Filter, Span
from keelwatch.query.records import Query
from keelwatch.store.database import Database

Record = dict[str, Any]
Objects = Callable[[Mapping[str, Any]], Record]
"""A row of the store with JSON text turned into what it says."""


class Sessions:
    """Reads the store; its methods block. `clock` gives nanoseconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], int], objects: Objects) -> None:
        self._database = database
        self._clock = clock
        self._objects = objects

    def select(self, wanted: Filter, tail: int) -> list[Record]:
        """The last `tail` sessions, oldest first."""
        return self._sessions(access.select_sessions(wanted, self._clock(), tail))

    def news(self, wanted: Filter, spans: Sequence[Span]) -> list[Record]:
        """Sessions that began or ended, as batches that have arrived tell."""
        return self._sessions(access.new_sessions(wanted, self._clock(), spans))

    def one(self, identifier: str) -> Record | None:
        """One session with its tree, its events and its alerts; or None."""
        found = records.the_one(identifier, self._sessions(access.session_by_id(identifier)))
        if found is None:
            return None
        span = access.span(found, self._clock())
        events = self._rows(access.events_query(found, *span)) if found["trees"] else []
        alerts = self._rows(access.alerts_query(found, *span)) if found["trees"] else []
        return found | {
            "tree": trees(events),
            "event_records": events,
            "alert_records": self.named(alerts),
            "cut": len(events) == access.MAX_EVENTS,
        }

    def named(self, alerts: list[Record]) -> list[Record]:
        """The same alerts, with whose doing they are: `user` and `access`."""
        names = sorted({name for alert in alerts if (name := naming.tree_of(alert))})
        sessions: list[Record] = []
        for at in range(0, len(names), access.MAX_TREES):
            sessions += self._sessions(access.sessions_of_trees(names[at : at + access.MAX_TREES]))
        naming.name_all(alerts, sessions)
        return alerts

    def _sessions(self, found: Query) -> list[Record]:
        return [access.shown(row) for row in self._database.query(found.sql, found.parameters)]

    def _rows(self, found: Query) -> list[Record]:
        return [self._objects(row) for row in self._database.query(found.sql, found.parameters)]
