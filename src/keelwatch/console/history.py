"""What was recorded, as the API and the pages ask for it: questions in, records out.

The only place between the query layer (pure) and the store. All methods block; call them in a
thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from keelwatch import __version__
from keelwatch.console.access_sessions import Sessions
from keelwatch.console.late_owners import LateOwners
from keelwatch.ingest.agents import Agent
from keelwatch.ingest.intake import Intake
from keelwatch.query import compare, follow, histogram, records, status, timeline, workloads
from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import Filter, Span
from keelwatch.query.records import JSON_COLUMNS, Query
from keelwatch.query.times import rfc3339
from keelwatch.store.database import Database

Record = dict[str, Any]
Cursor = dict[str, dict[str, int]]
"""For each table the highest batch seen, by spool."""

_DEFAULT_WORKLOADS_SINCE = "24h"
_NAMED_AT_ONCE = 5000
"""Alerts whose sessions are asked for when their own query has ended, and let go of its connection."""


class History:
    """Reads the store. `now` is nanoseconds since the epoch."""

    def __init__(self, database: Database, intake: Intake, clock: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._intake = intake
        self._clock = clock
        self._started = time.monotonic()
        self.problems: list[Callable[[], list[str]]] = []  # asked for what is wrong with the hub now
        self.own_problems: list[Callable[[], list[str]]] = []  # the same, not for everybody
        self.objects: Callable[[], dict[str, int]] = dict  # asked for what is known of the cluster
        self._late = LateOwners(database, clock)
        self.access = Sessions(database, clock, _with_objects)

    def lines(self, table: str, wanted: Filter, tail: int) -> Iterator[bytes]:
        """Blocks of NDJSON: the last `tail` records, oldest first."""
        if table == "alerts" and tail <= _NAMED_AT_ONCE:
            return iter([_ndjson(self.rows(table, wanted, tail))])
        found = records.select(table, self._completed(wanted), self._clock(), tail)
        return self._lines(table, found)

    def rows(self, table: str, wanted: Filter, tail: int, *, oldest: bool = False) -> list[Record]:
        """The last `tail` records (or the first ones), oldest first; of access sessions always the last."""
        if table == "access":
            return self.sessions(wanted, tail)
        found = records.select(table, self._completed(wanted), self._clock(), tail, oldest=oldest)
        return self._named(table, self._rows(found))

    def timeline(self, wanted: Filter, tail: int) -> list[Record]:
        """The last `tail` records of all tables, oldest first; `record` says what each one is."""
        if not 0 <= tail <= timeline.MAX_TAIL:
            raise QuestionError("tail", f"{tail} records", f"ask for 0 to {timeline.MAX_TAIL}")
        parts = {table: self.rows(table, wanted, tail) for table in timeline.tables_for(wanted)}
        return timeline.merged(parts, tail)

    def cursor(self, tables: tuple[str, ...]) -> Cursor:
        """Where a follower begins: everything that is stored now has been seen."""
        return {table: self._intake.highest(table) for table in tables}

    def has_news(self, cursor: Cursor) -> bool:
        """Whether anything arrived; cheap, it does not ask the store."""
        return any(self._intake.highest(table) != seen for table, seen in cursor.items())

    def news(self, wanted: Filter, cursor: Cursor) -> tuple[list[Record], Cursor]:
        """Records that arrived since the cursor, and the next one."""
        wanted = self._completed(wanted)
        parts: dict[str, list[Record]] = {}
        moved: Cursor = {}
        for table, seen in cursor.items():
            spans = follow.news(seen, self._intake.highest(table))
            moved[table] = follow.advance(seen, spans)
            if spans:
                parts[table] = self._new(table, wanted, spans)
        if len(cursor) == 1:
            return next(iter(parts.values()), []), moved
        return timeline.merged(parts, records.MAX_TAIL), moved

    def _new(self, table: str, wanted: Filter, spans: list[Span]) -> list[Record]:
        if table == "access":
            return self.access.news(wanted, spans)
        return self._named(table, self._rows(records.select_new(table, wanted, self._clock(), spans)))

    def alert(self, identifier: str) -> Record | None:
        """The alert with this id or, if there is only one, with an id that begins like this; or None."""
        found = self._rows(records.alert_by_id(identifier, self._late.owners()))
        return records.the_one(identifier, self._named("alerts", found))

    def sessions(self, wanted: Filter, tail: int) -> list[Record]:
        """The last `tail` access sessions, oldest first."""
        return self.access.select(self._completed(wanted), tail)

    def session(self, identifier: str) -> Record | None:
        """One access session with its tree, its events and its alerts; or None."""
        return self.access.one(identifier)

    def workloads(self, wanted: Filter) -> list[Record]:
        """Workloads with their instances; counts are of the asked time, else of the last day."""
        if not wanted.since:
            wanted = replace(wanted, since=_DEFAULT_WORKLOADS_SINCE)
        wanted = self._completed(wanted)
        found = self._rows(workloads.workloads_query(wanted, self._clock()))
        return workloads.workloads(found, wanted.late)

    def compare(self, by: str, wanted: Filter, limit: int, at_most: int) -> Record:
        """Lines, programs or files by how many instances have them, of the asked time or the last day."""
        if not wanted.since:
            wanted = replace(wanted, since=_DEFAULT_WORKLOADS_SINCE)
        wanted, now = self._completed(wanted), self._clock()
        totals = self._rows(compare.instances_query(by, wanted, now))
        return compare.comparison(
            by, totals, self._rows(compare.compare_query(by, wanted, now, limit, at_most))
        )

    def histogram(self, wanted: Filter, buckets: int) -> Record:
        """Log lines over time."""
        now, wanted = self._clock(), self._completed(wanted)
        extent = None if wanted.since else self._extent(wanted, now)
        steps = histogram.axis(wanted, now, buckets, extent)
        return histogram.histogram(steps, self._rows(histogram.histogram_query(wanted, now, steps)))

    def alert_counts(self, wanted: Filter, buckets: int) -> Record:
        """Alerts over time, by priority."""
        now, wanted = self._clock(), self._completed(wanted)
        wanted = wanted if wanted.since else replace(wanted, since=_DEFAULT_WORKLOADS_SINCE)
        steps = histogram.axis(wanted, now, buckets, None)
        return histogram.alerts_histogram(steps, self._rows(histogram.alerts_query(wanted, now, steps)))

    def agents(self) -> list[Record]:
        """The agents that are known, with when they were last heard of."""
        return [_agent(agent, self._intake) for agent in self._intake.agents.all()]

    def seen(self) -> list[Agent]:
        """The agents that were heard of since the start."""
        return [agent for agent in self._intake.agents.all() if agent.last_seen]

    def status(self) -> Record:
        """The hub's version, store, agents and the gaps of the last day."""
        return {
            "version": __version__,
            "uptime": int(time.monotonic() - self._started),
            "problems": self.trouble(),
            "store": self.store(),
            "objects": self.objects(),
            "agents": self.agents(),
            "gaps": self._rows(status.RECENT_GAPS),
        }

    def skew(self, node: str) -> int | None:
        """Nanoseconds by which a node's clock is ahead of the hub's, None if unknown."""
        return self._intake.clocks.skew(node)

    def trouble(self) -> list[str]:
        """What is wrong now, as sentences for those who have logged in."""
        return [problem for ask in (*self.problems, *self.own_problems) for problem in ask()]

    def public_trouble(self) -> list[str]:
        """What of it anybody may know."""
        return [problem for ask in self.problems for problem in ask()]

    def store(self) -> Record:
        """The store's size; readers, however many, cannot make this wait."""
        sizes = self._database.lookup(status.SIZES.sql)
        tables = {str(row["table"]): int(row["rows"]) for row in sizes}
        tables.pop("schema_migrations", None)
        return {
            "bytes": sum(int(row["bytes"]) for row in sizes),
            "rows": tables,
            "parts": sum(int(row["parts"]) for row in sizes),
        }

    def _completed(self, wanted: Filter) -> Filter:
        """The question, with the identities that became known later."""
        return replace(wanted, late=self._late.owners(wanted.since))

    def _extent(self, wanted: Filter, now: int) -> tuple[int, int] | None:
        row = self._rows(histogram.extent_query(wanted, now))[0]
        return (int(row["first"]), int(row["last"]) + 1) if int(row["lines"]) else None

    def _rows(self, found: Query) -> list[Record]:
        return [_with_objects(row) for row in self._database.query(found.sql, found.parameters)]

    def _lines(self, table: str, found: Query) -> Iterator[bytes]:
        blocks = self._database.lines(found.sql, found.parameters)
        if table == "logs":
            return blocks  # the engine's bytes are the answer
        return self._objects(table, blocks)

    def _objects(self, table: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            found = [_with_objects(orjson.loads(line)) for line in block.splitlines()]
            yield _ndjson(self._named(table, found))

    def _named(self, table: str, found: list[Record]) -> list[Record]:
        """Alerts with whose doing they are; other records as they are."""
        return self.access.named(found) if table == "alerts" else found


def _ndjson(found: list[Record]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in found)


def _with_objects(row: Mapping[str, Any]) -> Record:
    """Turn JSON text into what it says; text that is not JSON stays text."""
    found = dict(row)
    for name in JSON_COLUMNS & found.keys():
        text = found[name]
        if text == "":
            found[name] = [] if name == "ancestors" else {} if name == "process" else None
        elif isinstance(text, str) and text[:1] in "{[n":
            found[name] = _parsed(text)
    return found


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _agent(agent: Agent, intake: Intake) -> Record:
    skew = intake.clocks.skew(agent.node)
    return {
        "node": agent.node,
        "spool": agent.spool,
        "address": agent.address,
        "last_seen": rfc3339(int(agent.last_seen * 1e9)) if agent.last_seen else None,
        "batches": agent.batches,
        "rows": agent.rows,
        "stored": intake.stored(agent.spool),
        "clock_skew": None if skew is None else round(skew / 1e9, 3),
    }
