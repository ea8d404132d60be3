"""Reads what sessions are derived from: requests of the audit, and what was seen of one pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keelwatch.access.entry import Entry, entries
from keelwatch.access.match import NS
from keelwatch.access.pod import Loss, PodSeen, containers
from keelwatch.access.request import Request, requests
from keelwatch.access.session import Deeds
from keelwatch.kit.text import gap_text, one_line
from keelwatch.query import access, access_sources
from keelwatch.query.access_sources import Where
from keelwatch.query.records import Query, Span
from keelwatch.store.database import Database

Row = dict[str, Any]
NEAR_BY = 600 * NS
"""So far around a request the same command is looked for, to know whether it also runs without one."""
AROUND = 5 * NS
START_TO_EXEC = 30 * NS
"""So long a runtime may take between making a process and running the command in it."""
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

    def seen(self, where: Where, begin: int, end: int, *, lives: bool) -> PodSeen:
        """What was seen of a pod that concerns requests between two times.

        `lives`: the whole lives of its containers, for requests that tie to processes that ran before.
        """
        rows = self._rows(access_sources.entries_query(where, begin - NEAR_BY, end + NEAR_BY))
        lifecycle = self._rows(access_sources.containers_query(where))
        since = begin - NEAR_BY
        if lives:
            since = min([since, *(int(row["started"]) - AROUND for row in lifecycle if int(row["started"]))])
        trees = self._rows(access_sources.trees_query(where, since))
        losses = self._rows(access_sources.losses_query(begin - AROUND, end + AROUND))
        return PodSeen(
            entries=tuple(first_execs(entries(rows))),
            containers=containers(entries(trees), lifecycle),
            losses=tuple(_loss(row) for row in losses),
        )

    def deeds(self, columns: Mapping[str, Any], since: int, until: int) -> Deeds:
        """What a session's trees did."""
        if not columns["trees"]:
            return Deeds()
        did = self._rows(access.deeds_query(columns, since, until))[0]
        alerts = self._rows(access.alerts_count_query(columns, since, until))[0]
        return Deeds(int(did["events"]), int(alerts["alerts"]), int(did["files"]), int(did["last"]))

    def stored(self, ids: Sequence[str]) -> dict[str, Row]:
        """What is stored of these sessions, by id."""
        return {str(row["id"]): row for row in self._rows(access_sources.stored_query(ids))} if ids else {}

    def debugs(self, where: Where, since: int) -> list[Row]:
        """The stored sessions of a pod's ephemeral containers."""
        return self._rows(access_sources.stored_of_pod_query(where, since))

    def recent(self, since: int) -> list[Row]:
        """The stored sessions that began since, and all open ones."""
        return self._rows(access_sources.recent_query(since))

    def _rows(self, found: Query) -> list[Row]:
        rows = self._database.query(found.sql, found.parameters)
        return [{name.rstrip("_"): value for name, value in row.items()} for row in rows]


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
