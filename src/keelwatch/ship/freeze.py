"""From rows and log chunks to drafts: one table and one day each, none too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import orjson

from keelwatch.capture.logs import LogBatch
from keelwatch.decode.lines import EARLIEST
from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.ship.draft import Draft

MAX_DRAFT = 8 << 20
"""Bytes of rows after which a draft is closed, so that a batch stays cheap to hold in memory."""


def rows_draft(table: str, rows: Sequence[Mapping[str, Any]]) -> list[Draft]:
    """Return the drafts of `rows`, split by the day of `row["time"]` (nanoseconds since the epoch).

    Text that is not valid UTF-8 (lone surrogates) is escaped with backslashes.
    """
    by_day = sorted(rows, key=_day)  # stable: order within a day stays
    return [
        Draft(table, day, len(lines), "rows", b"".join(lines))
        for day, group in groupby(by_day, key=_day)
        for lines in _pieces(_encode(row) for row in group)
    ]


def log_drafts(batches: Iterable[LogBatch]) -> list[Draft]:
    """Return one draft per batch of the log follower."""
    return [Draft("logs", batch.day, batch.lines, "chunks", b"".join(batch.chunks)) for batch in batches]


def gap_drafts(gaps: Iterable[Gap]) -> list[Draft]:
    """Return the drafts of the `gaps` table."""
    return rows_draft("gaps", [gap.columns() for gap in gaps])


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
