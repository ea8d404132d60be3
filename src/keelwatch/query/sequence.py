"""SQL of the batches that are stored: their numbers by spool, and those that gaps account for."""

from __future__ import annotations

from keelwatch.query.coverage import Where
from keelwatch.query.records import Query

MAX_SPOOLS = 20_000


def batches(table: str, where: Where) -> Query:
    """One row for each spool: the lowest and highest number of its batches in the time, and how many.

    A late row's batch is of an earlier day, so the numbers between are counted over all days.
    """
    place, parameters = where.conditions("cluster", "node")
    days = (
        "day >= toDate(fromUnixTimestamp64Nano({first_day:Int64}, 'UTC')) "
        "AND day <= toDate(fromUnixTimestamp64Nano({last_day:Int64}, 'UTC'))"
    )
    spans = (
        f"SELECT spool, min(seq) AS first, max(seq) AS last, any(node) AS node_ FROM {table} "
        f"WHERE {days}{place} GROUP BY spool LIMIT {MAX_SPOOLS}"
    )
    del parameters["begin"], parameters["end"]
    return Query(
        "SELECT spool, any(first) AS first, any(last) AS last, any(spans.node_) AS node_, "
        f"uniqExact(seq) AS batches FROM {table} AS stored INNER JOIN ({spans}) AS spans USING (spool) "
        "WHERE seq >= spans.first AND seq <= spans.last GROUP BY spool",
        {**parameters, "first_day": where.begin, "last_day": where.end},
    )


EXPLAINED = Query(
    "SELECT extract(detail, 'spool (\\\\S+)') AS spool, what, "
    "toUInt64(sum(if(unit = 'batches', amount, 1))) AS batches FROM gaps "
    "WHERE cause IN ('sequence', 'rejected') GROUP BY spool, what",
    {},
)
"""`sequence` and `rejected` gaps name the spool in their detail."""
