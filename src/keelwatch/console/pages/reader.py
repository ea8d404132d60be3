"""The hub's records as the pages read them: filters of an address in, records out."""

from __future__ import annotations

import base64
import binascii
import zlib

import orjson
from fastapi import Request

from keelwatch.console.history import Cursor, History
from keelwatch.console.pages.filters import explained
from keelwatch.console.views.reader import FilterError, Filters, Reader, Record
from keelwatch.query.filter import Filter, filter_of

_MAX_CURSOR = 1 << 20


class HistoryReader(Reader):
    """Answers from History. Raises FilterError for a filter that cannot be understood or answered."""

    def __init__(self, history: History) -> None:
        self._history = history

    def rows(self, table: str, filters: Filters, tail: int) -> list[Record]:
        """The newest `tail` records, oldest first."""
        if table == "timeline":
            return explained(lambda: self._history.timeline(_filter(filters), tail))
        return explained(lambda: self._history.rows(table, _filter(filters), tail))

    def first_rows(self, table: str, filters: Filters, count: int) -> list[Record]:
        """The oldest `count` records of a table, oldest first."""
        return explained(lambda: self._history.rows(table, _filter(filters), count, oldest=True))

    def alert(self, id_: str) -> Record | None:
        """One alert."""
        return explained(lambda: self._history.alert(id_))

    def workloads(self, filters: Filters) -> list[Record]:
        """Workloads with their instances and counts."""
        return explained(lambda: self._history.workloads(_filter(filters)))

    def compare(self, by: str, filters: Filters, limit: int) -> Record:
        """Lines, programs or files by how many instances have them, the rarest first."""
        return explained(lambda: self._history.compare(by, _filter(filters), limit, 0))

    def histogram(self, filters: Filters, buckets: int) -> Record:
        """Log lines over time."""
        return explained(lambda: self._history.histogram(_filter(filters), buckets))

    def alert_counts(self, filters: Filters, buckets: int) -> Record:
        """Alerts over time, by priority."""
        return explained(lambda: self._history.alert_counts(_filter(filters), buckets))

    def agents(self) -> list[Record]:
        """The nodes that report; of a node's spools the one that was heard of last."""
        latest: dict[str, Record] = {}
        for agent in self._history.agents():
            known = latest.get(agent["node"])
            if known is None or (known["last_seen"] or "") < (agent["last_seen"] or ""):
                latest[agent["node"]] = agent
        return [latest[node] for node in sorted(latest)]

    def new_lines(self, filters: Filters, cursor: str) -> tuple[list[Record], str]:
        """Log lines received since the cursor ("" for now on), and the next cursor."""
        if not cursor:
            return [], encode_cursor(self._history.cursor(("logs",)))
        # What arrives now is wanted, whatever its own time.
        wanted = _filter({name: value for name, value in filters.items() if name not in ("since", "until")})
        found, moved = explained(lambda: self._history.news(wanted, decode_cursor(cursor)))
        return found, encode_cursor(moved)


def reader_of(request: Request) -> Reader:
    """The reader of this hub."""
    return HistoryReader(request.app.state.history)


def _filter(filters: Filters) -> Filter:
    return filter_of(filters)


def encode_cursor(cursor: Cursor) -> str:
    """What was seen, as text for an address."""
    return base64.urlsafe_b64encode(zlib.compress(orjson.dumps(cursor))).decode()


def decode_cursor(text: str) -> Cursor:
    """The reverse of encode_cursor, for text that anybody may have made."""
    try:
        raw = zlib.decompressobj().decompress(base64.urlsafe_b64decode(text), _MAX_CURSOR)
        seen = orjson.loads(raw)["logs"]
        return {"logs": {str(spool): int(seq) for spool, seq in seen.items()}}
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise FilterError("cursor: not one of ours") from error
