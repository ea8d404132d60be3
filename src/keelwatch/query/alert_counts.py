"""Alerts over time: counts by priority in equal steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keelwatch.query.filter import Filter, at_least, conditions
from keelwatch.query.histogram import Axis
from keelwatch.query.records import SHAPES, Query
from keelwatch.query.times import NS, rfc3339


def alert_counts_query(wanted: Filter, now: int, steps: Axis) -> Query:
    """Counts by priority and step; steps without alerts are absent."""
    found = conditions(wanted, now, SHAPES["alerts"].searched, has_file=True)
    found.equal("rule", wanted.rule)
    if wanted.priority:
        names = found.bind(at_least(wanted.priority), "Array(String)")
        found.clauses.append(f"has({names}, lower(priority))")
    begin, step = found.bind(steps.begin, "Int64"), found.bind(steps.step, "Int64")
    return Query(
        f"SELECT lower(priority) AS level, intDiv(toUnixTimestamp64Nano(time) - {begin}, {step}) AS bucket, "
        f"count() AS alerts FROM alerts WHERE {found.sql} GROUP BY level, bucket "
        f"HAVING bucket >= 0 AND bucket < {steps.buckets}",
        found.parameters,
    )


def alert_counts(steps: Axis, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`from` and `to` (RFC 3339), `step` (seconds), and the counts of each priority that occurs."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        series = counts.setdefault(str(row["level"]), [0] * steps.buckets)
        series[int(row["bucket"])] = int(row["alerts"])
    return {
        "from": rfc3339(steps.begin),
        "to": rfc3339(steps.end),
        "step": steps.step // NS,
        "counts": counts,
    }
