"""What access sessions are derived from: audit rows, and what was seen of one pod."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from keelwatch.model.identity import IDENTITY_COLUMNS
from keelwatch.query.access import COLUMNS
from keelwatch.query.filter import Conditions, Span
from keelwatch.query.records import Query
from keelwatch.query.times import NS

SUBRESOURCES: tuple[str, ...] = ("exec", "attach", "portforward", "ephemeralcontainers")
BLIND: tuple[str, ...] = (
    "agent_down", "sensor_off", "ring_full", "map_full", "recursion", "decode_error", "spool_full",
    "disk_full", "spool_corrupt", "rejected", "sequence", "row_count", "fault", "audit_dropped",
    "audit_invalid",
)  # fmt: skip
"""Causes of gaps in which a process, or a request, may have been missed."""
BLIND_WHAT: tuple[str, ...] = ("all", "exec", "fork", "events", "audit")

_DAY_NS = 86_400 * NS
_MAX_ROWS = 20_000
MAX_ENTRIES = 20_000
MOST_SKEWED = 30 * _DAY_NS
"""So long ago a clock may have been found to be off."""
MAX_CONTAINERS = 50
Range: TypeAlias = tuple[int, int]
"""From when to when, nanoseconds since the epoch, both included."""
_IDENTITY = ", ".join(IDENTITY_COLUMNS)
_CONTROLLERS = "^system:(serviceaccount:kube-system:|node:|kube-)"
_MADE = (  # a pod that no controller made
    "resource = 'pods' AND subresource = '' AND verb = 'create' AND name != '' "
    f"AND NOT match(user, '{_CONTROLLERS}') AND position(request_object, '\"ownerReferences\"') = 0"
)
_PATH = "decodeURLComponent(cutQueryString(uri))"
_ENTERS = (
    f"((resource = 'pods' AND subresource IN {SUBRESOURCES}) OR ({_MADE}) OR (resource = 'nodes' AND "
    f"subresource = 'proxy' AND match({_PATH}, '/proxy/.*(exec|run|attach|portForward)')))"
)
_ASKED = "toUnixTimestamp64Nano(if(toUnixTimestamp64Nano(requested) = 0, time, requested)) AS requested_"
_LATEST = "ORDER BY version DESC LIMIT 1 BY id"


@dataclass(frozen=True, slots=True)
class Where:
    """A pod by its names; `cluster` is "" where records do not say it."""

    cluster: str
    namespace: str
    pod: str


def news_query(spans: Sequence[Span], day: str) -> Query:
    """Which pods requests of new batches are about. `day` (ISO 8601): no batch is older."""
    found = Conditions()
    found.clauses.append(f"day >= toDate({found.bind(day, 'String')})")
    found.clauses.append(found.arrived(spans))
    return Query(
        f"SELECT cluster, namespace, name, resource, uri, audit_id, {_ASKED} FROM audit "
        f"WHERE {found.sql} AND {_ENTERS}",
        found.parameters,
    )


def requests_query(where: Where, begin: int, end: int) -> Query:
    """All stages of the requests to enter a pod that were received between two times (ns)."""
    found = _between(begin, end + _DAY_NS)  # a stage's time may be long after the request's
    pod, namespace = found.bind(where.pod, "String"), found.bind(where.namespace, "String")
    found.clauses.append(
        f"(resource = 'pods' AND name = {pod} AND namespace = {namespace}) OR "
        f"(resource = 'nodes' AND position({_PATH}, {found.bind('/' + where.pod, 'String')}) > 0)"
    )
    begins, ends = found.bind(begin, "Int64"), found.bind(end, "Int64")
    return Query(
        f"SELECT * FROM (SELECT audit_id, stage, toUnixTimestamp64Nano(time) AS time_, {_ASKED}, verb, uri, "
        "user, groups, impersonated_user, source_ips, user_agent, resource, subresource, name, code, "
        f"if(subresource IN ('ephemeralcontainers', ''), request_object, '') AS request_object_, {_IDENTITY} "
        f"FROM audit WHERE {found.sql} AND {_ENTERS}) "
        f"WHERE requested_ >= {begins} AND requested_ <= {ends} LIMIT {_MAX_ROWS}",
        found.parameters,
    )


def entries_query(where: Where, times: Sequence[Range]) -> Query:
    """The execs by which trees may have entered a pod's containers at some times, MAX_ENTRIES at most."""
    found = _at(times)
    pod = _pod(found, where)
    return Query(
        f"SELECT toUnixTimestamp64Nano(time) AS time_, entry_pid, entry_start, cmdline, "
        f"JSONExtractString(detail, 'script') AS script, tty, truncated, "
        f"{_main(pod, found)} AS main, {_IDENTITY} "
        f"FROM events WHERE {found.sql} AND {pod} AND kind = 'exec' AND phase = 'run' AND result >= 0 "
        f"AND pid = entry_pid ORDER BY events.time LIMIT {MAX_ENTRIES}",
        found.parameters,
    )


def trees_query(where: Where, times: Sequence[Range], wholly: Sequence[str]) -> Query:
    """The trees of processes seen in a pod at some times; `time_`: the entry's exec, 0: not seen.

    Of the containers `wholly` all of them; of others those that may be the container's own: what probes
    and execs put into it is thousands a day.
    """
    found = _at(times)
    pod = _pod(found, where)
    names = found.bind(list(wholly), "Array(String)")
    own = "kind = 'exec' AND pid = entry_pid AND result >= 0"
    last = ", ".join(
        f"argMax({name}, time) AS {name}_" for name in IDENTITY_COLUMNS if name != "container_id"
    )
    return Query(
        "SELECT container_id, entry_pid, entry_start, toUnixTimestamp64Nano(min(time)) AS seen, "
        f"toUnixTimestamp64Nano(minIf(time, {own})) AS time_, argMinIf(cmdline, time, {own}) AS cmdline, "
        f"'' AS script, max(tty) AS tty, 0 AS truncated, "
        f"max({_main(pod, found, 'entry_pid')}) AS main, {last} "
        f"FROM events WHERE {found.sql} AND {pod} AND phase = 'run' AND entry_pid > 0 AND container_id != '' "
        f"GROUP BY container_id, entry_pid, entry_start HAVING main OR time_ = 0 OR has({names}, container_) "
        f"ORDER BY main DESC, seen LIMIT {_MAX_ROWS}",
        found.parameters,
    )


def containers_query(where: Where, begin: int) -> Query:
    """When a pod's containers began and ended, as the agents recorded it, less those that had ended before.

    A pod of a StatefulSet has had many containers by its name: the last MAX_CONTAINERS count.
    """
    found = Conditions()
    pod = _pod(found, where)
    begins = found.bind(begin, "Int64")
    last = ", ".join(
        f"argMax({name}, time) AS {name}_" for name in IDENTITY_COLUMNS if name != "container_id"
    )
    began, ended = ("minIf(time, kind = 'container_started')", "maxIf(time, kind = 'container_ended')")
    return Query(
        f"SELECT container_id, toUnixTimestamp64Nano({began}) AS started, "
        f"toUnixTimestamp64Nano({ended}) AS ended, {_entry('pid')}, {_entry('start')}, {last} "
        f"FROM lifecycle WHERE {pod} AND container_id != '' GROUP BY container_id "
        f"HAVING ended = 0 OR ended >= {begins} ORDER BY max(time) DESC LIMIT {MAX_CONTAINERS}",
        found.parameters,
    )


def skews_query(where: Where, nodes: Collection[str], begin: int, end: int) -> Query:
    """What the hub found of the clocks of nodes until a while after `end`, the earliest first (ns)."""
    found = _between(begin - MOST_SKEWED, end + MOST_SKEWED)
    names = found.bind(sorted(nodes), "Array(String)")
    if where.cluster:
        found.clauses.append(f"cluster IN ('', {found.bind(where.cluster, 'String')})")
    return Query(
        "SELECT node, toUnixTimestamp64Nano(time) AS time_, JSONExtractString(detail, 'state') AS state, "
        "JSONExtractFloat(detail, 'skew_seconds') AS seconds FROM lifecycle "
        f"WHERE {found.sql} AND kind = 'clock_skew' AND has({names}, node) "
        f"ORDER BY lifecycle.time LIMIT {_MAX_ROWS}",
        found.parameters,
    )


def losses_query(begin: int, end: int) -> Query:
    """Gaps between two times (ns) in which a process or a request may have been missed."""
    found = Conditions()
    begins, ends = found.bind(begin, "Int64"), found.bind(end, "Int64")
    return Query(
        "SELECT node, what, cause, unit, amount, from_time, to_time, "
        "toUnixTimestamp64Nano(from_time) AS from_, "
        "toUnixTimestamp64Nano(to_time) AS to_ FROM gaps WHERE "
        f"to_time >= fromUnixTimestamp64Nano({begins}, 'UTC') "
        f"AND from_time <= fromUnixTimestamp64Nano({ends}, 'UTC') "
        f"AND what IN {BLIND_WHAT} AND cause IN {BLIND} ORDER BY from_time LIMIT 100",
        found.parameters,
    )


def stored_query(ids: Sequence[str]) -> Query:
    """What is stored of these sessions; times as ns."""
    return Query(
        f"SELECT {_STORED} FROM access WHERE id IN {{ids:Array(String)}} {_LATEST}", {"ids": list(ids)}
    )


def stored_of_pod_query(where: Where, since: int, begin: int) -> Query:
    """The sessions of debug containers of a pod since a time (ns) that had not ended at another one."""
    found = _between(since, 0)
    found.equal("pod", where.pod)
    found.equal("namespace", where.namespace)
    begins = found.bind(begin, "Int64")
    return Query(
        f"SELECT * FROM (SELECT {_STORED} FROM access WHERE {found.sql} AND kind = 'debug' {_LATEST}) "
        f"WHERE ended_ = 0 OR ended_ >= {begins}",
        found.parameters,
    )


def recent_query(since: int) -> Query:
    """The sessions that began since a time (ns), and all that are open."""
    found = Conditions()
    at = found.bind(since, "Int64")
    return Query(
        f"SELECT * FROM (SELECT {_STORED} FROM access {_LATEST}) WHERE state = 'open' OR time_ >= {at} "
        f"ORDER BY time_ DESC LIMIT {_MAX_ROWS}",
        found.parameters,
    )


_TIMES = ("time", "started", "ended", "until", "last_event")
_STORED = ", ".join(
    f"toUnixTimestamp64Nano({name}) AS {name}_" if name in _TIMES else name for name in (*COLUMNS, "version")
)


def _between(begin: int, end: int) -> Conditions:
    """Records of a time (ns; no end with 0), and of the days that they can have been written on."""
    found = Conditions()
    early = found.bind(begin - _DAY_NS, "Int64")
    found.clauses.append(f"day >= toDate(fromUnixTimestamp64Nano({early}, 'UTC'))")
    found.clauses.append(f"time >= fromUnixTimestamp64Nano({found.bind(begin, 'Int64')}, 'UTC')")
    if end:
        found.clauses.append(f"time <= fromUnixTimestamp64Nano({found.bind(end, 'Int64')}, 'UTC')")
    return found


def _at(times: Sequence[Range]) -> Conditions:
    """Records of several ranges of time."""
    found = _between(min(begin for begin, _ in times), max(end for _, end in times))
    pairs = (f"({found.bind(begin, 'Int64')}, {found.bind(end, 'Int64')})" for begin, end in times)
    at = "toUnixTimestamp64Nano(events.time)"
    found.clauses.append(f"arrayExists(one -> {at} >= one.1 AND {at} <= one.2, [{', '.join(pairs)}])")
    return found


def _entry(name: str) -> str:
    """What an agent told of the container's own process."""
    told = f"JSONExtractUInt(detail, 'entry', '{name}')"
    return f"argMaxIf({told}, time, {told} > 0) AS entry_{name}"


def _pod(found: Conditions, where: Where) -> str:
    """The pod by its names; records of other clusters are others', those of no cluster may be its."""
    text = f"namespace = {found.bind(where.namespace, 'String')} AND pod = {found.bind(where.pod, 'String')}"
    if where.cluster:
        text += f" AND cluster IN ('', {found.bind(where.cluster, 'String')})"
    return f"({text})"


def _main(pod: str, found: Conditions, pid: str = "pid") -> str:
    """Whether a process is its container's own: the runtime set the container up in it."""
    setup = f"SELECT container_id, pid FROM events WHERE {found.sql} AND {pod} AND phase = 'setup'"
    return f"(container_id, {pid}) IN ({setup})"
