"""Log lines over time: counts in equal steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import Filter, conditions
from keelwatch.query.records import SHAPES, Query, table_conditions
from keelwatch.query.times import NS, parse_time, rfc3339

MAX_BUCKETS = 1000
_STEPS = tuple(
    seconds * NS
    for seconds in (
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    """Nanoseconds: the first step's begin, the last one's end, and a step's length."""

    begin: int
    end: int
    step: int

    @property
    def buckets(self) -> int:
        """How many steps there are."""
        return (self.end - self.begin) // self.step


def axis(wanted: Filter, now: int, buckets: int, extent: tuple[int, int] | None) -> Axis:
    """Choose round steps, at most about `buckets` of them. `extent` is of the data, if needed."""
    if not 1 <= buckets <= MAX_BUCKETS:
        raise QuestionError("buckets", f"{buckets} buckets", f"ask for 1 to {MAX_BUCKETS}")
    begin, end = extent or (now, now)
    if wanted.since:
        begin = parse_time("since", wanted.since, now)
        end = max(end, now)
    if wanted.until:
        end = parse_time("until", wanted.until, now)
    begin, end = min(begin, end), max(begin, end)
    step = _step((end - begin) // buckets + 1)
    begin -= begin % step
    return Axis(begin, max(begin + step, end + (-end) % step), step)


def extent_query(wanted: Filter, now: int) -> Query:
    """The first and last time of the matching lines; needed when `since` is not given."""
    found = conditions(wanted, now, SHAPES["logs"].searched, has_file=False)
    found.equal("stream", wanted.stream)
    return Query(
        "SELECT toUnixTimestamp64Nano(min(time)) AS first, toUnixTimestamp64Nano(max(time)) AS last, "
        f"count() AS lines FROM logs WHERE {found.sql}",
        found.parameters,
    )


def histogram_query(wanted: Filter, now: int, steps: Axis) -> Query:
    """Counts by step; steps without lines are absent."""
    found = conditions(wanted, now, SHAPES["logs"].searched, has_file=False)
    found.equal("stream", wanted.stream)
    begin, step = found.bind(steps.begin, "Int64"), found.bind(steps.step, "Int64")
    return Query(
        f"SELECT intDiv(toUnixTimestamp64Nano(time) - {begin}, {step}) AS bucket, count() AS lines, "
        f"countIf(stream = 'stderr') AS stderr FROM logs WHERE {found.sql} GROUP BY bucket "
        f"HAVING bucket >= 0 AND bucket < {steps.buckets}",
        found.parameters,
    )


def alerts_query(wanted: Filter, now: int, steps: Axis) -> Query:
    """Alerts by step and priority; what is absent is none."""
    found = table_conditions("alerts", wanted, now)
    begin, step = found.bind(steps.begin, "Int64"), found.bind(steps.step, "Int64")
    return Query(
        f"SELECT intDiv(toUnixTimestamp64Nano(time) - {begin}, {step}) AS bucket, "
        f"lower(priority) AS priority_, count() AS alerts FROM alerts WHERE {found.sql} "
        f"GROUP BY bucket, priority_ HAVING bucket >= 0 AND bucket < {steps.buckets}",
        found.parameters,
    )


def alerts_histogram(steps: Axis, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts by priority, one list for each that occurs."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        series = counts.setdefault(str(row["priority_"]), [0] * steps.buckets)
        series[int(row["bucket"])] = int(row["alerts"])
    return {
        "from": rfc3339(steps.begin),
        "to": rfc3339(steps.end),
        "step": steps.step // NS,
        "counts": counts,
    }


def histogram(steps: Axis, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The API's answer."""
    counts, stderr = [0] * steps.buckets, [0] * steps.buckets
    for row in rows:
        counts[int(row["bucket"])] = int(row["lines"])
        stderr[int(row["bucket"])] = int(row["stderr"])
    return {
        "from": rfc3339(steps.begin),
        "to": rfc3339(steps.end),
        "step": steps.step // NS,
        "counts": counts,
        "stderr": stderr,
    }


def _step(least: int) -> int:
    """The smallest round step that is at least `least`; beyond a day, whole days."""
    day = _STEPS[-1]
    return next((step for step in _STEPS if step >= least), -(-least // day) * day)
