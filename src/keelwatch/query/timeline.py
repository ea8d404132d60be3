"""All records of a workload in one order, access sessions among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import merge
from typing import Any

from keelwatch.query import access
from keelwatch.query.filter import Filter
from keelwatch.query.records import AUDIT_FILTERS, SHAPES

TABLES: tuple[str, ...] = (*SHAPES, "access")
MAX_TAIL = 10_000


def tables_for(wanted: Filter) -> tuple[str, ...]:
    """The tables that can answer: a filter that only some tables have leaves the others out."""
    tables = set(TABLES)
    if wanted.stream:
        tables &= {"logs"}
    if wanted.rule or wanted.priority or wanted.id:
        tables &= {"alerts"}
    if wanted.what or wanted.cause:
        tables &= {"gaps"}
    if wanted.type:
        tables &= {"events", "alerts"}
    if any(getattr(wanted, name) for name in AUDIT_FILTERS):
        tables &= {"audit"}
    if wanted.kind:
        tables &= {"events", "alerts", "lifecycle", *(("access",) if wanted.kind in access.KINDS else ())}
    return tuple(table for table in TABLES if table in tables)


def merged(parts: Mapping[str, Sequence[dict[str, Any]]], tail: int) -> list[dict[str, Any]]:
    """Merge records that are each ordered by time; keep the last `tail` and name each one's sort."""
    named = [[{"record": _name(table), **record} for record in records] for table, records in parts.items()]
    return list(merge(*named, key=lambda record: str(record["time"])))[-tail:]


def _name(table: str) -> str:
    return SHAPES[table].name if table in SHAPES else table
