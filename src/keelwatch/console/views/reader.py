"""What the pages ask of the store, as the views see it. pages/reader.py answers from the query layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Record = dict[str, Any]
Filters = Mapping[str, str]


class FilterError(ValueError):
    """A filter in the address cannot be understood; the message says which and why."""


class Reader(Protocol):
    """Records as the HTTP API shows them (documented in docs/reference/records.md)."""

    def rows(self, table: str, filters: Filters, tail: int) -> list[Record]:
        """The newest `tail` records of a table (or of "timeline"), oldest first."""

    def first_rows(self, table: str, filters: Filters, count: int) -> list[Record]:
        """The oldest `count` records of a table, oldest first."""

    def alert(self, id_: str) -> Record | None:
        """One alert."""

    def workloads(self, filters: Filters) -> list[Record]:
        """Workloads with their instances and counts."""

    def compare(self, by: str, filters: Filters, limit: int) -> Record:
        """Lines, programs or files by how many instances have them, as `GET /api/v1/compare` answers."""

    def histogram(self, filters: Filters, buckets: int) -> Record:
        """Log lines over time: from, to (RFC 3339), step (seconds), counts, stderr."""

    def alert_counts(self, filters: Filters, buckets: int) -> Record:
        """Alerts over time: from, to (RFC 3339), step (seconds), counts by priority in small letters."""

    def agents(self) -> list[Record]:
        """The nodes that report, with `last_seen`."""

    def new_lines(self, filters: Filters, cursor: str) -> tuple[list[Record], str]:
        """Log lines received since the cursor ("" for now on), and the next cursor."""
