"""Canaries: a container on each node that says a number and runs a program of that number every minute.

The whole way, from the kernel and the log file to the store, is proven when both arrive in time.
Numbers of a container begin at 1 and have no holes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keelwatch.evidence.causes import KINDS, Kind
from keelwatch.query import canary as sql
from keelwatch.query.coverage import Where
from keelwatch.query.times import rfc3339
from keelwatch.store.database import Database

Record = dict[str, Any]
SECOND = 1_000_000_000
INTERVAL = 60 * SECOND
BOUND = 60 * SECOND
"""How long a beat may be on its way."""

_NAMES = ("cluster", "node", "namespace", "workload_kind", "workload", "pod", "container", "image")


@dataclass(slots=True)
class Canary:
    """One canary container: the time of each number that arrived, by kind; `ended` is 0 while it runs."""

    container_id: str
    names: dict[str, str]
    ended: int = 0
    beats: dict[Kind, dict[int, int]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    @property
    def last(self) -> int:
        """When the last beat of any kind was, 0 for none."""
        return max((time for beats in self.beats.values() for time in beats.values()), default=0)

    def due(self, now: int) -> dict[int, int]:
        """The numbers that should have arrived by now, with when they were (or would have been) said."""
        told: dict[int, int] = {}
        for beats in self.beats.values():
            for number, time in beats.items():
                told[number] = min(time, told.get(number, time))
        if not told:
            return {}
        until = self.ended or now
        number, time = max(told), told[max(told)]
        while (time := time + INTERVAL) < until and len(told) < 50_000:
            number += 1
            told[number] = time
        first = min(told)
        at = told[first]
        for number in range(first, max(told)):
            at = told.setdefault(number, at + INTERVAL)
        return {number: time for number, time in told.items() if time + BOUND < now}

    def missing(self, kind: Kind, now: int) -> list[tuple[int, int]]:
        """Numbers that did not arrive in time, with when they were said."""
        came = self.beats[kind]
        return sorted((number, time) for number, time in self.due(now).items() if number not in came)


def read(database: Database, begin: int, end: int) -> list[Canary]:
    """All canaries that ran since `begin`, with what arrived of them until `end`."""
    found: dict[str, Canary] = {}
    living = sql.living(begin)
    for row in database.query(living.sql, living.parameters):
        canary = found[str(row["container_id"])] = _canary(row)
        canary.ended = int(row["ended"]) if int(row["ended"]) > int(row["started"]) else 0
    for kind in KINDS:
        query = sql.beats(kind, begin, end)
        for row in database.query(query.sql, query.parameters):
            canary = found.setdefault(str(row["container_id"]), _canary(row))
            canary.beats[kind] = {int(number): int(time) for number, time in row["beats"]}
    return sorted(found.values(), key=lambda one: (one.names["node"], one.last))


def _canary(row: Mapping[str, Any]) -> Canary:
    return Canary(str(row["container_id"]), {name: str(row[f"{name}_"]) for name in _NAMES})


def canaries(database: Database, where: Where, now: int) -> list[Record]:
    """What the report says of the canaries."""
    return [_record(one, now) for one in read(database, where.begin, where.end) if _is_asked(one, where)]


def _is_asked(one: Canary, where: Where) -> bool:
    return all(
        not wanted or one.names[name] == wanted
        for name, wanted in (("cluster", where.cluster), ("node", where.node))
    )


def _record(one: Canary, now: int) -> Record:
    due = len(one.due(now))
    return {
        **{name: one.names[name] for name in ("cluster", "node", "namespace", "pod")},
        "container_id": one.container_id,
        "running": not one.ended,
        "last": rfc3339(one.last) if one.last else None,
        "due": due,
        **{kind: _arrived(one, kind, now) for kind in KINDS},
    }


def _arrived(one: Canary, kind: Kind, now: int) -> Record:
    beats = one.beats[kind]
    missing = one.missing(kind, now)
    return {
        "arrived": len(beats),
        "last": rfc3339(max(beats.values())) if beats else None,
        "missing": [number for number, _ in missing[:100]],
        "missing_count": len(missing),
    }


def all_missing(found: list[Canary], now: int) -> Iterator[tuple[Canary, Kind, int, int]]:
    """Each beat that did not arrive in time: the canary, the kind, the number, when it was said."""
    for one in found:
        for kind in KINDS:
            for number, time in one.missing(kind, now):
                yield one, kind, number, time
