"""The store as the pages read it: the query layer, in this process."""

from __future__ import annotations

import base64
import binascii
import contextlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import orjson
from fastapi import Request

from keelwatch.console.view_reader import FilterError, Filters, Reader, Record
from keelwatch.kit import clock
from keelwatch.query import follow, timeline
from keelwatch.query.alert_counts import alert_counts, alert_counts_query
from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import Filter
from keelwatch.query.histogram import axis, histogram, histogram_query
from keelwatch.query.records import JSON_COLUMNS, Query, alert_by_id, select, select_new
from keelwatch.query.workloads import workloads, workloads_query
from keelwatch.store.database import QUERY_TOO_LARGE, QUERY_TOO_LONG, Database, StoreError

_NAMES = frozenset(field.name for field in fields(Filter))
_MAX_CURSOR = 1 << 20
_CANNOT_COMPILE_REGEXP = 427
Answer = TypeVar("Answer")


class StoreReader(Reader):
    """Answers from the store. Raises FilterError for a filter that cannot be understood."""

    def __init__(self, database: Database, state: Any) -> None:
        self._database = database
        self._state = state

    def rows(self, table: str, filters: Filters, tail: int) -> list[Record]:
        """The newest `tail` records, oldest first."""
        wanted = _filter(filters)
        if table != "timeline":
            return self._records(table, wanted, tail)
        parts = {name: self._records(name, wanted, tail) for name in timeline.tables_for(wanted)}
        return timeline.merged(parts, tail)

    def _records(self, table: str, wanted: Filter, tail: int) -> list[Record]:
        return [_decoded(row) for row in self._ask(lambda now: select(table, wanted, now, tail))]

    def alert(self, id_: str) -> Record | None:
        """One alert."""
        found = self._ask(lambda _: alert_by_id(id_))
        return _decoded(found[0]) if found else None

    def workloads(self, filters: Filters) -> list[Record]:
        """Workloads with their instances and counts."""
        wanted = _filter(filters)
        return workloads(self._ask(lambda now: workloads_query(wanted, now)))

    def histogram(self, filters: Filters, buckets: int) -> Record:
        """Log lines over time."""
        wanted, now = _filter(filters), clock.now()
        steps = _asked(lambda: axis(wanted, now, buckets, None))
        return histogram(steps, self._ask(lambda now: histogram_query(wanted, now, steps)))

    def alert_counts(self, filters: Filters, buckets: int) -> Record:
        """Alerts over time, by priority."""
        wanted, now = _filter(filters), clock.now()
        steps = _asked(lambda: axis(wanted, now, buckets, None))
        return alert_counts(steps, self._ask(lambda now: alert_counts_query(wanted, now, steps)))

    def agents(self) -> list[Record]:
        """The agents that the hub knows; `last_seen` is when one last sent something."""
        latest: dict[str, Record] = {}
        for agent in self._state.intake.agents():
            seen = max(agent.last_seen, 0.0)
            record = {
                "node": agent.node or agent.spool,
                "seen": seen,
                "last_seen": clock.iso(int(seen * 1e9)),
            }
            known = latest.get(record["node"])
            if known is None or known["seen"] < seen:
                latest[record["node"]] = record
        return sorted(latest.values(), key=lambda agent: str(agent["node"]))

    def new_lines(self, filters: Filters, cursor: str) -> tuple[list[Record], str]:
        """Log lines received since the cursor ("" for now on), and the next cursor."""
        stored = self._state.intake.highest("logs")
        if not cursor:
            return [], encode_cursor(stored)
        seen = decode_cursor(cursor)
        spans = follow.news(seen, stored)
        if not spans:
            return [], cursor
        wanted = _filter(filters)
        found = self._ask(lambda now: select_new("logs", wanted, now, spans))
        return [_decoded(row) for row in found], encode_cursor(follow.advance(seen, spans))

    def _ask(self, make: Callable[[int], Query]) -> list[Record]:
        """Make the query for this moment and run it; a question that cannot be answered says why."""
        query = _asked(lambda: make(clock.now()))
        try:
            return self._database.query(query.sql, query.parameters)
        except StoreError as error:
            if error.code == _CANNOT_COMPILE_REGEXP:
                raise FilterError("regex: not a regular expression that RE2 understands") from error
            if error.code in (QUERY_TOO_LARGE, QUERY_TOO_LONG):
                raise FilterError("this asks for too much at once: choose a shorter time range") from error
            raise


def reader_of(request: Request) -> Reader:
    """The reader of this hub's store."""
    return StoreReader(request.app.state.database, request.app.state)


def _filter(filters: Filters) -> Filter:
    return Filter(**{name: value for name, value in filters.items() if name in _NAMES})


def _asked(make: Callable[[], Answer]) -> Answer:
    try:
        return make()
    except QuestionError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise FilterError(f"{error.parameter}: {error}{hint}") from error


def _decoded(row: Record) -> Record:
    """The row with its JSON columns as objects; what is not JSON stays text."""
    for name in JSON_COLUMNS & row.keys():
        with contextlib.suppress(orjson.JSONDecodeError):
            row[name] = orjson.loads(row[name])
    return row


def encode_cursor(seen: Mapping[str, int]) -> str:
    """What was seen, as text for an address."""
    return base64.urlsafe_b64encode(zlib.compress(orjson.dumps(dict(seen)))).decode()


def decode_cursor(text: str) -> dict[str, int]:
    """The reverse of encode_cursor, for text that anybody may have made."""
    try:
        raw = zlib.decompressobj().decompress(base64.urlsafe_b64decode(text), _MAX_CURSOR)
        found = orjson.loads(raw)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise FilterError("cursor: not one of ours") from error
    if not isinstance(found, dict) or not all(isinstance(seq, int) for seq in found.values()):
        raise FilterError("cursor: not one of ours")
    return found
