"""From rows and log chunks to drafts: one table and one day each, none too large."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from keelwatch.capture.logs import LogBatch
from keelwatch.decode.lines import EARLIEST
from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.model.identity import IDENTITY_COLUMNS, Identity
from keelwatch.ship.draft import Draft

log = logging.getLogger(__name__)

MAX_DRAFT = 8 << 20
"""Bytes of rows after which a draft is closed, so that a batch stays cheap to hold in memory."""


def rows_draft(table: str, rows: Sequence[Mapping[str, Any]]) -> list[Draft]:
    """Return the drafts of `rows`, split by the day of `row["time"]` (nanoseconds since the epoch).

    Text that is not valid UTF-8 (lone surrogates) is escaped with backslashes. A row that cannot be
    written down at all is left out, and a draft of the gaps that say so follows.
    """
    made, gaps = _encode_all(table, rows)
    made.sort(key=itemgetter(0))  # stable: order within a day stays
    drafts = [
        Draft(table, day, len(lines), "rows", b"".join(lines))
        for day, group in groupby(made, key=itemgetter(0))
        for lines in _pieces(line for _, line in group)
    ]
    return drafts + (gap_drafts(gaps) if gaps else [])


def log_drafts(batches: Iterable[LogBatch]) -> list[Draft]:
    """Return one draft per batch of the log follower."""
    return [Draft("logs", batch.day, batch.lines, "chunks", batch.chunks) for batch in batches]


def gap_drafts(gaps: Iterable[Gap]) -> list[Draft]:
    """Return the drafts of the `gaps` table."""
    return rows_draft("gaps", [gap.columns() for gap in gaps])


def _encode_all(table: str, rows: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, bytes]], list[Gap]]:
    """The day and the line of each row, and a gap for each that has none."""
    made: list[tuple[str, bytes]] = []
    gaps: list[Gap] = []
    for row in rows:
        try:
            made.append((_day(row), _encode(row)))
        except Exception as error:  # one row must not stop those behind it
            log.exception("a row of %s could not be encoded", table)
            gaps.append(_left_out(table, row, error))
    return made, gaps


def _left_out(table: str, row: Mapping[str, Any], error: Exception) -> Gap:
    """Only text is taken over from the row: whatever broke it must not break its gap."""
    whose = {name: row.get(name) for name in IDENTITY_COLUMNS}
    identity = Identity(**{name: value for name, value in whose.items() if isinstance(value, str)})  # type: ignore[arg-type]  # all but `restart` are text
    now = clock.now()
    return Gap(table, "fault", now, now, 1, "rows", identity, f"a row could not be encoded: {error}"[:500])


def _day(row: Mapping[str, Any]) -> str:
    """The day of a row; the store takes none that only a clock that was not set can show."""
    return max(clock.day(row["time"]), EARLIEST.isoformat())


def _encode(row: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(_escaped(row), option=orjson.OPT_APPEND_NEWLINE)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    return value


def _pieces(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > MAX_DRAFT:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield piece
