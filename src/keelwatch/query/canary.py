"""SQL of what arrived of the canaries: their numbered lines, and the numbered programs they ran."""

from __future__ import annotations

from typing import Literal

from keelwatch.query.records import Query

Kind = Literal["events", "logs"]
CONTAINER = "keelwatch-canary"
"""The container's name in its pod; its lines begin with it, its programs' names too."""
MAX_CANARIES = 20_000

_NAMES = ("cluster", "node", "namespace", "workload_kind", "workload", "pod", "pod_uid", "container", "image")
_BEATS = {
    "logs": ("logs", "message", f"startsWith(message, '{CONTAINER} beat=')", "beat=(\\\\d{1,9}) "),
    "events": ("events", "exe", "kind = 'exec' AND result >= 0", f"/{CONTAINER}-(\\\\d{{1,9}})$"),
}


def beats(kind: Kind, begin: int, end: int) -> Query:
    """One row for each canary: the numbers that arrived, each with its time, in order."""
    table, column, condition, pattern = _BEATS[kind]
    named = ", ".join(f"any({name}) AS {name}_" for name in _NAMES)
    return Query(
        f"SELECT container_id, {named}, arraySort(groupUniqArray(20000)((number, nanoseconds))) AS beats "
        f"FROM (SELECT *, toUInt32OrZero(extract({column}, '{pattern}')) AS number, "
        "toUnixTimestamp64Nano(time) AS nanoseconds "
        f"FROM {table} WHERE container = {{container:String}} AND {condition} "
        "AND time >= fromUnixTimestamp64Nano({begin:Int64}, 'UTC') "
        "AND time < fromUnixTimestamp64Nano({end:Int64}, 'UTC') "
        "AND day >= toDate(fromUnixTimestamp64Nano({begin:Int64}, 'UTC')) - 1) "
        f"WHERE number > 0 GROUP BY container_id LIMIT {MAX_CANARIES}",
        {"container": CONTAINER, "begin": begin, "end": end},
    )


def told(begin: int) -> Query:
    """Up to when beats that are missing became gaps already, by container and what."""
    return Query(
        "SELECT container_id, what, toUnixTimestamp64Nano(max(to_time)) AS until FROM gaps "
        "WHERE cause = 'canary_missing' AND time >= fromUnixTimestamp64Nano({begin:Int64}, 'UTC') "
        f"GROUP BY container_id, what LIMIT {2 * MAX_CANARIES}",
        {"begin": begin},
    )
