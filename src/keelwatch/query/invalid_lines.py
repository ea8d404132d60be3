"""Log lines that did not follow the runtime's format: they are stored with an empty stream."""

from __future__ import annotations

from keelwatch.model.identity import IDENTITY_COLUMNS
from keelwatch.query.filter import Span
from keelwatch.query.records import Query
from keelwatch.store.escape import Value

MOST_CONTAINERS = 1000


def invalid_lines_query(spans: list[Span]) -> Query:
    """Invalid lines by container."""
    values: dict[str, Value] = {}
    arrived = []
    for index, span in enumerate(spans):
        values |= {f"s{index}": span.spool, f"a{index}": span.after, f"b{index}": span.upto}
        arrived.append(
            f"spool = {{s{index}:String}} AND seq > {{a{index}:UInt64}} AND seq <= {{b{index}:UInt64}}"
        )
    names = ", ".join(IDENTITY_COLUMNS)
    return Query(
        f"SELECT {names}, count() AS lines, toUnixTimestamp64Nano(min(time)) AS first, "
        f"toUnixTimestamp64Nano(max(time)) AS last FROM logs WHERE stream = '' AND ({' OR '.join(arrived)}) "
        f"GROUP BY {names} ORDER BY lines DESC LIMIT {MOST_CONTAINERS}",
        values,
    )
