"""What sets instances apart: lines, programs and files, by how many instances of a workload have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import Filter
from keelwatch.query.records import Query, table_conditions

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000

# What differs from line to line without meaning anything: numbers, addresses, ids, times; and the pod's
# own name, which instances like to tell.
_VARIABLE = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|[0-9a-fA-F]{12,}|[0-9]+"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`value` is the SQL that two instances are compared by; `where` says which records count."""

    table: str
    value: str
    where: str = "1"


COMPARISONS: Mapping[str, Comparison] = {
    "line": Comparison("logs", f"replaceRegexpAll(replaceAll(message, pod, '#'), '{_VARIABLE}', '#')"),
    "process": Comparison("events", "exe", "kind = 'exec' AND result >= 0 AND phase = 'run' AND exe != ''"),
    "file": Comparison(
        "events",
        "path",
        "kind IN ('open', 'rename', 'link', 'chmod', 'unlink') AND phase = 'run' AND path != ''",
    ),
}


def instances_query(by: str, wanted: Filter, now: int) -> Query:
    """How many instances have records at all, by the container's name."""
    found = table_conditions("lifecycle", wanted_of_instances(wanted), now)
    table = _known(by).table
    mine = table_conditions(table, wanted, now, found.parameters)
    return Query(
        "SELECT container, uniqExact(container_id) AS instances FROM ("
        f"SELECT container, container_id FROM {table} WHERE container_id != '' AND {mine.sql} "
        "UNION ALL SELECT container, container_id FROM lifecycle WHERE container_id != '' "
        f"AND container != '' AND kind = 'container_started' AND {found.sql}) GROUP BY container",
        found.parameters,
    )


def wanted_of_instances(wanted: Filter) -> Filter:
    """The filter as it concerns the instances themselves: of the records' own conditions, none."""
    names = ("cluster", "node", "namespace", "workload", "pod", "container", "container_id", "selector")
    kept: dict[str, Any] = {
        name: getattr(wanted, name) for name in (*names, "team", "since", "until", "late")
    }
    return Filter(**kept)


def compare_query(by: str, wanted: Filter, now: int, limit: int, at_most: int) -> Query:
    """Values by the number of instances that have them, the rarest first. `at_most` 0 means any number."""
    how = _known(by)
    if not 1 <= limit <= MAX_LIMIT:
        raise QuestionError("limit", f"{limit} values", f"ask for 1 to {MAX_LIMIT}")
    found = table_conditions(how.table, wanted, now)
    few = f"HAVING instances <= {found.bind(at_most, 'UInt32')}" if at_most else ""
    example = "any(message)" if by == "line" else "any(cmdline)"
    return Query(
        f"SELECT container, {how.value} AS value, uniqExact(container_id) AS instances, count() AS records, "
        "toString(min(time)) AS first_seen, toString(max(time)) AS last_seen, "
        f"arraySlice(groupUniqArray(5)((pod, container_id, node)), 1, 5) AS among, {example} AS example "
        f"FROM {how.table} WHERE container_id != '' AND ({how.where}) AND {found.sql} "
        f"GROUP BY container, value {few} ORDER BY instances, records, value "
        f"LIMIT {found.bind(limit, 'UInt32')}",
        found.parameters,
    )


def comparison(
    by: str, totals: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The API's answer."""
    of = {str(row["container"]): int(row["instances"]) for row in totals}
    return {
        "by": by,
        "instances": sum(of.values()),
        "values": [_value(row, of) for row in rows],
    }


def _value(row: Mapping[str, Any], of: Mapping[str, int]) -> dict[str, Any]:
    instances = int(row["instances"])
    return {
        "value": row["value"],
        "container": row["container"],
        "instances": instances,
        "of": max(instances, of.get(str(row["container"]), 0)),
        "records": int(row["records"]),
        "first_seen": _iso(row["first_seen"]),
        "last_seen": _iso(row["last_seen"]),
        "among": [_instance(one) for one in row["among"]],
        "example": row["example"],
    }


def _instance(one: Any) -> dict[str, str]:
    values = list(one.values()) if isinstance(one, Mapping) else list(one)
    return dict(zip(("pod", "container_id", "node"), map(str, values), strict=True))


def _iso(text: Any) -> str:
    return f"{str(text).replace(' ', 'T', 1).removesuffix('Z')}Z"


def _known(by: str) -> Comparison:
    if by not in COMPARISONS:
        raise QuestionError("by", f"{by!r} cannot be compared", f"one of {', '.join(COMPARISONS)}")
    return COMPARISONS[by]
