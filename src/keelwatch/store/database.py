"""What the hub needs of a column store. `chdb` and `clickhouse` implement it.

Parameters stand in SQL as `{name:Type}` and are bound by the engine. All methods may be called from
any thread; each call may block, so an event loop calls them in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from keelwatch.model.batch import MAX_RAW
from keelwatch.store.escape import Parameters

_CODE = re.compile(r"Code: (\d+)")

_LONGEST_MESSAGE = 2000
_LONGEST_BRIEF = 300

QUERY_TOO_LARGE = 241
QUERY_TOO_LONG = 159
_INCORRECT_DATA = 117


class StoreError(RuntimeError):
    """The engine refused or failed. `code` is ClickHouse's error code, 0 if there is none."""

    def __init__(self, message: str) -> None:
        found = _CODE.search(message)
        self.code = int(found.group(1)) if found else 0
        super().__init__(printable(message, _LONGEST_MESSAGE))  # the engine quotes input, up to a megabyte

    @property
    def brief(self) -> str:
        """One short line for logs and answers: the engine quotes records, which are not ours to spread."""
        return printable(str(self), _LONGEST_BRIEF)


class UnreadableError(StoreError):
    """A batch's bytes are not what its header says; the engine was not asked."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Code: {_INCORRECT_DATA}. {message}")


class BusyError(StoreError):
    """No connection became free in time."""


class SchemaError(StoreError):
    """The store's schema is newer than this program."""


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one batch: a file with a zstd body, and what the header says.

    No row may name another node than `node`, unless that is "". `size` is what the body unpacks to at most.
    """

    path: Path
    spool: str
    seq: int
    rows: int
    node: str = ""
    size: int = MAX_RAW


@dataclass(frozen=True, slots=True)
class Insertion:
    """Batches of one table, format and day that become one part.

    `fallback_time` (nanoseconds since the epoch) is what a line gets whose own cannot be read.
    """

    table: str
    format: str
    day: str
    sources: Sequence[Source]
    fallback_time: int


class Database(Protocol):
    """A column store with keelwatch's schema. `groups`: whether one insertion can be several batches."""

    groups: bool

    def execute(self, sql: str) -> None:
        """Run a statement that returns nothing (DDL)."""

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """Return all rows. Times are RFC 3339 text with nanoseconds."""

    def lookup(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """As `query`, for the intake: readers, however many, cannot make it wait."""

    def lines(self, sql: str, parameters: Parameters | None = None) -> Iterator[bytes]:
        """Yield blocks of NDJSON; each block ends behind a newline. Close it to cancel the query."""

    def insert(self, insertion: Insertion) -> None:
        """Write the batches, durable when this returns, all or none of them.

        Behind a StoreError it is not known which: ask what is there before writing them again.
        """

    def readable(self, insertion: Insertion) -> None:
        """Parse the batches without writing; raise StoreError if that is what fails."""

    def close(self) -> None:
        """Let go of the store."""


def printable(text: str, length: int) -> str:
    """The beginning of a text that may quote anything, with all but printable characters escaped."""
    cut = text[:length] + ("…" if len(text) > length else "")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
