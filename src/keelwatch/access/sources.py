"""Reads what sessions are derived from: requests of the audit, and what was seen of one pod."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from keelwatch.access.entry import Entry, entries
from keelwatch.access.match import NS, window
from keelwatch.access.pod import Loss, PodSeen, containers
from keelwatch.access.request import DEBUG, EXEC, MADE, Request, requests
from keelwatch.access.session import Deeds
from keelwatch.kit.text import gap_text, one_line
from keelwatch.query import access, access_sources
from keelwatch.query.access_sources import Range, Where
from keelwatch.query.filter import Span
from keelwatch.query.records import Query
from keelwatch.store.database import Database

Row = dict[str, Any]
NEAR_BY = 600 * NS
"""So far around a request the same command is looked for, to know whether it also runs without one."""
AROUND = 5 * NS
BEGINNING = 60 * NS
"""So long after its start a container's own process has done something."""
START_TO_EXEC = 30 * NS
"""So long a runtime may take between making a process and running the command in it."""
SKEW_FOUND = 3600 * NS
"""So long it may take until a node's clock is found to be off."""
MAX_TEXT = 200


class Sources:
    """Answers of the store. It asks as readers do, so that the intake never waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def news(self, spans: Sequence[Span], day: str) -> list[Row]:
        """Which pods new rows of the audit are about."""
        return self._rows(access_sources.news_query(spans, day))

    def requests(self, where: Where, begin: int, end: int) -> list[Request]:
        """The requests to enter a pod that were received between two times."""
        found = requests(self._rows(access_sources.requests_query(where, begin, end)))
        return [one for one in found if (one.namespace, one.pod) == (where.namespace, where.pod)]

    def seen(self, where: Where, asked: Sequence[Request], now: int) -> PodSeen:
        """What was seen of a pod that concerns these requests, at least one."""
        begin, end = min(one.received for one in asked), max(_end(one, now) for one in asked)
        execs = [_around(one, now) for one in asked if one.kind == EXEC]
        rows = self._rows(access_sources.entries_query(where, joined(execs))) if execs else []
        lifecycle = self._rows(access_sources.containers_query(where, begin - NEAR_BY))
        begins = [(at - AROUND, at + BEGINNING) for row in lifecycle if (at := int(row["started"]))]
        times = joined([*begins, *(_around(one, now) for one in asked)])
        added = sorted({name for one in asked for name in _added(one)})
        trees = self._rows(access_sources.trees_query(where, times, added))
        losses = self._rows(access_sources.losses_query(begin - AROUND, end + AROUND))
        return PodSeen(
            entries=tuple(self._with_skew(where, first_execs(entries(rows)))),
            containers=containers(entries(trees), lifecycle),
            losses=(*_cut(rows, end), *(_loss(row) for row in losses)),
        )

    def _with_skew(self, where: Where, found: Sequence[Entry]) -> list[Entry]:
        """Entries with how far their node's clock was off then."""
        if not found:
            return []
        begin, end = found[0].time, found[-1].time
        rows = self._rows(access_sources.skews_query(where, {one.node for one in found}, begin, end))
        return [replace(one, ahead=_ahead(one, rows)) for one in found]

    def deeds(self, columns: Mapping[str, Any], since: int, until: int) -> Deeds:
        """What a session's trees did."""
        if not columns["trees"]:
            return Deeds()
        did = self._rows(access.deeds_query(columns, since, until))[0]
        alerts = self._rows(access.alerts_count_query(columns, since, until))[0]
        over = frozenset(str(tree) for tree in did["over"])
        return Deeds(int(did["events"]), int(alerts["alerts"]), int(did["files"]), int(did["last"]), over)

    def stored(self, ids: Sequence[str]) -> dict[str, Row]:
        """What is stored of these sessions, by id."""
        return {str(row["id"]): row for row in self._rows(access_sources.stored_query(ids))} if ids else {}

    def debugs(self, where: Where, since: int, begin: int) -> list[Row]:
        """The stored sessions of a pod's ephemeral containers, less those that had ended before `begin`."""
        return self._rows(access_sources.stored_of_pod_query(where, since, begin))

    def recent(self, since: int) -> list[Row]:
        """The stored sessions that began since, and all open ones."""
        return self._rows(access_sources.recent_query(since))

    def _rows(self, found: Query) -> list[Row]:
        rows = self._database.query(found.sql, found.parameters)
        return [{name.rstrip("_"): value for name, value in row.items()} for row in rows]


def joined(times: Iterable[Range]) -> list[Range]:
    """Ranges of time in order, those that overlap as one."""
    found: list[Range] = []
    for begin, end in sorted(times):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _added(request: Request) -> list[str]:
    """Containers whose whole life is a session."""
    if request.kind == MADE:
        return [name for name, _, _ in request.containers]
    return [request.container] if request.kind == DEBUG and request.container else []


def _ahead(entry: Entry, rows: Sequence[Row]) -> int:
    """What was recorded last before; a clock that was found to be off soon after was so already."""
    mine = [row for row in rows if row["node"] == entry.node]
    before = [row for row in mine if int(row["time"]) <= entry.time]
    said = before[-1:] or [row for row in mine if int(row["time"]) <= entry.time + SKEW_FOUND][:1]
    return int(float(said[0]["seconds"]) * NS) if said and said[0]["state"] == "apart" else 0


def _around(request: Request, now: int) -> Range:
    return request.received - NEAR_BY, _end(request, now) + NEAR_BY


def _end(request: Request, now: int) -> int:
    """Until when records concern a request: an exec begins at once, a container that was added goes on."""
    if request.kind == EXEC:
        return window(request)[1]
    added = request.kind in (DEBUG, MADE)
    return request.ended if request.ended and not added else max(now, request.received)


def _cut(rows: Sequence[Row], end: int) -> list[Loss]:
    if len(rows) < access_sources.MAX_ENTRIES:
        return []
    return [Loss(int(rows[-1]["time"]), end, "more processes entered the pod than are looked at")]


def first_execs(found: Sequence[Entry]) -> list[Entry]:
    """Each tree's first exec only, and that only where it followed the process's start at once.

    A process that entered long ago may run another program now; that is no entering. Start times are
    since the node's boot: the smallest difference to the wall clock is the boot's.
    """
    booted: dict[str, int] = {}
    for one in found:
        booted[one.node] = min(booted.get(one.node, one.time - one.start), one.time - one.start)
    first: dict[str, Entry] = {}
    for one in found:
        if one.time - one.start - booted[one.node] <= START_TO_EXEC:
            first.setdefault(one.tree, one)
    return list(first.values())


def _loss(row: Mapping[str, Any]) -> Loss:
    node = str(row["node"])
    text = one_line(gap_text(row))[:MAX_TEXT]
    return Loss(int(row["from"]), int(row["to"]), f"{text}{f' on node {node}' if node else ''}", node)
