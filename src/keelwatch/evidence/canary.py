"""Canaries: a container on each node that says a number and runs a program of that number every minute.

The whole way, from the kernel and the log file to the store, is proven when both arrive in time.
Numbers of a container begin at 1 and have no holes. A canary that runs, as the API server or an agent
says, owes its beats though nothing of it was ever heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from keelwatch.evidence import gather
from keelwatch.evidence.causes import KINDS, Kind
from keelwatch.evidence.facts import Container, Node, NodeKey
from keelwatch.evidence.fetch import Fetch
from keelwatch.evidence.intervals import END
from keelwatch.query import canary as sql
from keelwatch.query.coverage import Where
from keelwatch.query.times import rfc3339

Record = dict[str, Any]
SECOND = 1_000_000_000
INTERVAL = 60 * SECOND
BOUND = 60 * SECOND
"""How long a beat may be on its way."""
START = 300 * SECOND
"""How long a canary may take to its first beat: the chart lets agents take up its rules first."""
MARGIN = 10 * SECOND
"""A beat this near to an edge of the time asked about may have fallen on its other side."""
_MOST = 50_000

_NAMES = (
    "cluster", "node", "namespace", "workload_kind", "workload", "pod", "pod_uid", "container", "image",
)  # fmt: skip


class Beat(NamedTuple):
    """A beat, and when it was said, or should have been. `number` is 0 where nothing tells it."""

    number: int
    time: int


@dataclass(slots=True)
class Canary:
    """One canary container. It ran from `began` to `ended`, END while it runs.

    `beats` has the time of each number that arrived, by kind. `known_by` is as a container's.
    """

    container_id: str
    names: dict[str, str]
    began: int
    ended: int = END
    known_by: str = ""
    beats: dict[Kind, dict[int, int]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    @property
    def last(self) -> int:
        """When the last beat of any kind was, 0 for none."""
        return max((time for beats in self.beats.values() for time in beats.values()), default=0)

    def due(self, where: Where, now: int) -> list[Beat]:
        """The beats of the time asked about that should have arrived by now."""
        low = where.begin + MARGIN if self.began < where.begin else self.began
        high = min(self.ended, where.end if where.end >= now else where.end - MARGIN)
        said = self._said()
        beats = _around(said, low, high) if said else self._silent(where, low, high)
        return [beat for beat in beats if beat.time + BOUND < now]

    def missing(self, kind: Kind, where: Where, now: int) -> list[Beat]:
        """Those of them that did not arrive."""
        came = self.beats[kind]
        return [beat for beat in self.due(where, now) if beat.number not in came]

    def _said(self) -> dict[int, int]:
        said: dict[int, int] = {}
        for beats in self.beats.values():
            for number, time in beats.items():
                said[number] = min(time, said.get(number, time))
        return said

    def _silent(self, where: Where, low: int, high: int) -> list[Beat]:
        """Nothing was heard: in each interval there should have been one."""
        first = low + (START if self.began >= where.begin else INTERVAL)
        return [Beat(0, time) for time in range(first, high, INTERVAL)][:_MOST]


def _around(said: Mapping[int, int], low: int, high: int) -> list[Beat]:
    """What was heard, and what must have been said before, between and behind it."""
    told = dict(said)
    number, time = max(told), told[max(told)]
    while (time := time + INTERVAL) < high and len(told) < _MOST:
        number += 1
        told[number] = time
    number, at = min(said), said[min(said)]
    for between in range(number, max(said)):
        at = told.setdefault(between, at + INTERVAL)
    time = said[number]
    while number > 1 and (time := time - INTERVAL) > low and len(told) < _MOST:
        number -= 1
        told[number] = time
    return [Beat(number, told[number]) for number in sorted(told)]


def read(fetch: Fetch, where: Where, told: Iterable[Record], listed: Iterable[Record]) -> list[Canary]:
    """All canaries that ran within the time, and what arrived of them.

    `told` and `listed` are what agents and the API server say of containers of their name.
    """
    told, listed = list(told), list(listed)
    nodes = _nodes(fetch, where) if told else {}
    found = {
        one.container_id: _expected(one)
        for one in gather.containers(told, listed, nodes)
        if one.runs and one.runs[0][0] < where.end and one.runs[-1][1] > where.begin
    }
    for kind in KINDS:
        for row in fetch.rows(sql.beats(kind, where.begin, where.end), sql.MAX_CANARIES):
            beats = {int(number): int(time) for number, time in row["beats"]}
            unknown = _heard(row, min(beats.values()))
            found.setdefault(str(row["container_id"]), unknown).beats[kind] = beats
    return sorted((one for one in found.values() if _is_asked(one, where)), key=_order)


def of_canaries(where: Where) -> Where:
    """The same time and place; canaries have a namespace of their own."""
    return replace(where, namespace="", container=sql.CONTAINER)


def _nodes(fetch: Fetch, where: Where) -> dict[NodeKey, Node]:
    return {key: Node(*key, watch=watch) for key, watch in fetch.watches(where).items()}


def _expected(one: Container) -> Canary:
    names = {name: str(getattr(one, name)) for name in _NAMES}
    return Canary(one.container_id, names, one.runs[0][0], one.runs[-1][1], one.known_by)


def _heard(row: Mapping[str, Any], began: int) -> Canary:
    """One of which there are beats, and neither an agent nor the API server told."""
    return Canary(str(row["container_id"]), {name: str(row[f"{name}_"]) for name in _NAMES}, began)


def _is_asked(one: Canary, where: Where) -> bool:
    return all(
        not wanted or one.names[name] == wanted
        for name, wanted in (("cluster", where.cluster), ("node", where.node))
    )


def _order(one: Canary) -> tuple[str, str, int, str]:
    return one.names["cluster"], one.names["node"], one.last, one.container_id


def canaries(fetch: Fetch, asked: Where, now: int) -> list[Record]:
    """What the report says of the canaries."""
    where = of_canaries(asked)
    return [_record(one, where, now) for one in read(fetch, where, fetch.told(where), fetch.listed(where))]


def _record(one: Canary, where: Where, now: int) -> Record:
    due = len(one.due(where, now))
    return {
        **{name: one.names[name] for name in ("cluster", "node", "namespace", "pod")},
        "container_id": one.container_id,
        "known_by": one.known_by,
        "running": one.ended > now,
        "silent": bool(due) and not one.last,
        "last": rfc3339(one.last) if one.last else None,
        "due": due,
        **{kind: _arrived(one, kind, where, now) for kind in KINDS},
    }


def _arrived(one: Canary, kind: Kind, where: Where, now: int) -> Record:
    beats = one.beats[kind]
    missing = one.missing(kind, where, now)
    return {
        "arrived": len(beats),
        "last": rfc3339(max(beats.values())) if beats else None,
        "missing": [beat.number for beat in missing if beat.number][:100],
        "missing_count": len(missing),
    }
