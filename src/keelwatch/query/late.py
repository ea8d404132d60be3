"""Identities that were completed later: records that could not wait for the API server's word.

The workload stands in the tables' sorting keys, so records are not rewritten. Instead questions know the
few containers concerned, from `objects`: conditions look there, and answers show the completed identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keelwatch.store.escape import Value

MOST = 10_000
FIELDS = ("workload_kind", "workload", "revision", "team")
_MARK = "workload=kubernetes"

Bind = Callable[[Value, str], str]
"""(value, type) → the placeholder of a new parameter."""

ANY_OBJECTS = "SELECT count() AS found FROM (SELECT 1 FROM objects LIMIT 1)"

_CANDIDATES = f"""
    SELECT container_id, max(pod_uid) AS uid FROM (
        SELECT container_id, pod_uid, identity_source, day FROM lifecycle
        UNION ALL SELECT container_id, pod_uid, identity_source, day FROM alerts
    ) WHERE container_id != '' AND day >= toDate(fromUnixTimestamp64Nano({{since:Int64}}, 'UTC'))
    GROUP BY container_id HAVING uid != '' AND countIf(position(identity_source, '{_MARK}') = 0) > 0"""

LATE_OWNERS = f"""
SELECT candidates.container_id AS container_id, {", ".join(f"told.{name} AS {name}" for name in FIELDS)}
FROM ({_CANDIDATES}) AS candidates INNER JOIN (
    SELECT uid, {", ".join(f"argMax({name}, (time, seq, row)) AS {name}" for name in FIELDS)} FROM objects
    WHERE kind = 'Pod' AND uid IN (SELECT uid FROM ({_CANDIDATES})) GROUP BY uid
) AS told ON candidates.uid = told.uid
ORDER BY container_id LIMIT {MOST}"""
"""Containers with records that lack the API server's word, which `objects` has. `since`: nanoseconds."""


@dataclass(frozen=True, slots=True)
class LateOwner:
    """What the API server says of one container's pod."""

    container_id: str
    workload_kind: str
    workload: str
    revision: str
    team: str


Late = tuple[LateOwner, ...]


def late_owners(rows: Iterable[Mapping[str, Any]]) -> Late:
    """The answer to LATE_OWNERS."""
    return tuple(LateOwner(row["container_id"], *(row[name] for name in FIELDS)) for row in rows)


def corrected(clause: str, late: Late, holds: Callable[[LateOwner], bool], bind: Bind) -> str:
    """A condition on the identity as it would be if nothing had been late."""
    if not late:
        return clause
    ids = bind([one.container_id for one in late], "Array(String)")
    right = bind([one.container_id for one in late if holds(one)], "Array(String)")
    return f"if({_incomplete('')} AND has({ids}, container_id), has({right}, container_id), {clause})"


def shown(columns: Iterable[str], late: Late, bind: Bind, record: str) -> str:
    """The columns of an answer, selected from the subquery named `record`, with completed identities."""
    if not late:
        return ", ".join(columns)
    ids = bind([one.container_id for one in late], "Array(String)")
    return ", ".join(_column(name, late, ids, bind, f"{record}.") for name in columns)


def _column(name: str, late: Late, ids: str, bind: Bind, record: str) -> str:
    if name in FIELDS:
        values = bind([getattr(one, name) for one in late], "Array(String)")
        plain = f"toString({record}{name})"
        told = f"transform(toString({record}container_id), {ids}, {values}, {plain})"
        return f"if({_incomplete(record)}, {told}, {plain}) AS {name}"
    if name == "identity_source":
        source = f"toString({record}identity_source)"
        rest = f"replaceRegexpAll({source}, ' ?(workload_kind|workload|revision|team|inventory)=[a-z]+', '')"
        told = " ".join(f"{field}=kubernetes" for field in FIELDS[:3])
        concerned = f"{_incomplete(record)} AND has({ids}, {record}container_id)"
        return f"if({concerned}, concat({rest}, ' {told}'), {source}) AS identity_source"
    return f"{record}{name} AS {name}"


def _incomplete(record: str) -> str:
    return f"position({record}identity_source, '{_MARK}') = 0"
