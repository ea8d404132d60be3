"""SQL of the facts that coverage is reckoned from: what ran, who watched, what was lost.

All times are nanoseconds since the epoch; `cluster`, `namespace` and `node` are "" for any.
"""

from __future__ import annotations

from dataclasses import dataclass

from keelwatch.query.records import Query
from keelwatch.store.escape import Value

MAX_CONTAINERS = 500_000
PART = 50_000
"""Containers that are fetched at once: what the engine groups, and what is held, is that much at most."""
MAX_LOSSES = 200_000
MAX_AGENTS = 20_000
MAX_OUTAGES = 100_000
MAX_NODES = 20_000
MAX_SPANS = 10_000
MAX_NAMESPACES = 50_000
# With two levels the groups come in 256 small blocks, which each have their price.
_LARGE_BLOCKS = "SETTINGS group_by_two_level_threshold = 0, group_by_two_level_threshold_bytes = 0"
_RUNS = 64
_SESSIONS = 200

_NOT_LOSSES = ("agent_down", "sensor_off", "hub_down")
_KINDS = "('container_started', 'container_updated', 'container_ended')"
_ORDER = "(time, seq, row)"
_GONE = "('deleted', 'gone')"


@dataclass(frozen=True, slots=True)
class Where:
    """The time asked about, and where; empty means anywhere. `container` is a name, for containers only."""

    begin: int
    end: int
    cluster: str = ""
    namespace: str = ""
    node: str = ""
    container: str = ""

    def conditions(self, *names: str) -> tuple[str, dict[str, Value]]:
        """The condition on these columns, and its parameters with the two times."""
        given = {name: getattr(self, name) for name in names if getattr(self, name)}
        sql = "".join(f" AND {name} = {{{name}:String}}" for name in given)
        return sql, {"begin": self.begin, "end": self.end, **given}

    def of_gaps(self) -> tuple[str, dict[str, Value]]:
        """As `conditions`, for gaps: the hub does not always know the cluster that a spool belongs to."""
        sql, parameters = self.conditions("node")
        if self.cluster:
            sql += " AND cluster IN ('', {cluster:String})"
            parameters["cluster"] = self.cluster
        return sql, parameters


@dataclass(frozen=True, slots=True)
class Part:
    """One of `count` parts of all containers, by a hash of their ids: the same in every table."""

    number: int = 0
    count: int = 1

    def of(self, column: str) -> str:
        """The condition that a column's id is in it."""
        return f"cityHash64({column}) % {self.count} = {self.number}"


EVERYTHING = Part()


def sizes(where: Where) -> tuple[Query, Query]:
    """About how many containers agents and API servers ever told of, as far as it can be asked cheaply."""
    sql, parameters = where.conditions("cluster", "node")
    told = f"SELECT uniqCombined(container_id) AS containers FROM lifecycle WHERE kind IN {_KINDS}{sql}"
    by_agents = Query(told, _without(parameters, "begin", "end"))
    sql, parameters = where.conditions("cluster", "namespace", "node")
    told = (
        "SELECT uniqCombinedArray(container_ids) AS containers FROM objects WHERE kind = 'Pod' AND node != ''"
    )
    return by_agents, Query(f"{told}{sql}", _without(parameters, "begin", "end"))


def agents(where: Where) -> Query:
    """One row for each agent's spool: its node, its first start, and its last starts and stops."""
    sql, parameters = where.conditions("cluster", "node")
    return Query(
        "SELECT spool, argMax(cluster, time) AS cluster_, argMax(node, time) AS node_, "
        "toUnixTimestamp64Nano(minIf(time, kind = 'agent_started')) AS first, "
        "arraySlice(arraySort(groupArray((toUnixTimestamp64Nano(time), kind = 'agent_started', "
        "JSONExtractString(detail, 'logs') != 'off', JSONExtractString(detail, 'sensor') != 'off'))), "
        f"-{_SESSIONS}) AS sessions FROM lifecycle WHERE kind IN ('agent_started', 'agent_stopped') "
        f"AND time < {_moment('end')}{sql} GROUP BY spool HAVING first > 0 LIMIT {MAX_AGENTS + 1}",
        parameters,
    )


def signs(where: Where) -> Query:
    """When each agent was last heard of before the end."""
    _, parameters = where.conditions()
    return Query(
        "SELECT agent, toUnixTimestamp64Nano(max(time)) AS last FROM agent_signs "
        f"WHERE time < {_moment('end')} GROUP BY agent LIMIT {MAX_AGENTS + 1}",
        {"end": parameters["end"]},
    )


def outages(where: Where) -> Query:
    """Intervals in which an agent or its sensor was not running."""
    sql, parameters = where.of_gaps()
    return Query(
        "SELECT spool, cause, detail, toUnixTimestamp64Nano(from_time) AS begin_, "
        "toUnixTimestamp64Nano(to_time) AS end_ FROM gaps WHERE cause IN ('agent_down', 'sensor_off') "
        f"AND from_time < {_moment('end')}{sql} ORDER BY begin_ DESC LIMIT {MAX_OUTAGES + 1}",
        _without(parameters, "begin"),
    )


def spans(cause: str, where: Where) -> Query:
    """Intervals that a cause took from all nodes: the hub was down, or could not watch the API server."""
    _, parameters = where.conditions()
    return Query(
        "SELECT toUnixTimestamp64Nano(from_time) AS begin_, toUnixTimestamp64Nano(to_time) AS end_ FROM gaps "
        f"WHERE cause = {{cause:String}} AND from_time < {_moment('end')} AND to_time > {_moment('begin')} "
        f"ORDER BY begin_ LIMIT {MAX_SPANS}",
        {**parameters, "cause": cause},
    )


def silences(where: Where, longer: int) -> Query:
    """Intervals longer than that in which the hub heard nothing of an agent, and then did again."""
    _, parameters = where.conditions()
    return Query(
        "SELECT agent, toUnixTimestamp64Nano(from_time) AS begin_, toUnixTimestamp64Nano(time) AS end_ "
        f"FROM agent_signs WHERE from_time < {_moment('end')} AND time > {_moment('begin')} "
        f"AND end_ - begin_ > {{longer:Int64}} ORDER BY begin_ LIMIT {MAX_SPANS}",
        {**parameters, "longer": longer},
    )


def losses(where: Where) -> Query:
    """What agents and hub counted as lost, joined by minute: a flood is one row a minute."""
    sql, parameters = where.of_gaps()
    whose = "cluster, node, namespace, pod, pod_uid, container, container_id"
    without = ", ".join(f"'{cause}'" for cause in _NOT_LOSSES)
    return Query(
        f"SELECT {whose}, what, cause, unit, sum(amount) AS amount, "
        "min(toUnixTimestamp64Nano(from_time)) AS begin_, max(toUnixTimestamp64Nano(to_time)) AS end_, "
        f"any(detail) AS detail_ FROM gaps WHERE cause NOT IN ({without}) "
        f"AND from_time < {_moment('end')} AND to_time >= {_moment('begin')}{sql} "
        f"GROUP BY {whose}, what, cause, unit, toStartOfMinute(to_time) "
        f"ORDER BY begin_ LIMIT {MAX_LOSSES + 1}",
        parameters,
    )


def watched(where: Where, part: Part = EVERYTHING) -> Query:
    """Containers as agents told of them: a container can run more than once under its id."""
    sql, parameters = where.conditions("cluster", "node")
    if where.container:  # names can become known late, so one record with it is enough
        sql += (
            " AND container_id IN (SELECT container_id FROM lifecycle WHERE container = {container:String})"
        )
        parameters["container"] = where.container
    # The workload's name can become known late, so that no row may be left out before they are grouped.
    after = " AND namespace_ = {namespace:String}" if where.namespace else ""
    parameters |= {"namespace": where.namespace} if where.namespace else {}
    names = (
        "cluster", "node", "namespace", "workload_kind", "workload", "team", "pod", "pod_uid", "container",
        "image",
    )  # fmt: skip
    named = ", ".join(f"argMaxIf({name}, {_ORDER}, {name} != '') AS {name}_" for name in names)
    return Query(
        f"SELECT container_id, {named}, "
        f"arraySort(groupArrayIf({_RUNS})((toUnixTimestamp64Nano(time), "
        "toInt64(JSONExtractInt(detail, 'taken_up')), toUInt32(JSONExtractUInt(detail, 'log_files'))), "
        "kind = 'container_started')) AS starts, "
        f"arraySort(groupArrayIf({_RUNS})(toUnixTimestamp64Nano(time), kind = 'container_ended')) AS ends, "
        "max(JSONExtractString(detail, 'log') != 'none') AS has_log, "
        "argMaxIf(JSONExtractString(detail, 'runtime_handler'), time, "
        "JSONExtractString(detail, 'runtime_handler') != '') AS handler, "
        "arrayMax(arrayMap(one -> greatest(one.1, one.2), starts)) AS last_start, "
        "arrayMax(ends) AS last_end "
        f"FROM lifecycle WHERE kind IN {_KINDS} AND container_id != '' AND {part.of('container_id')} "
        f"AND time < {_moment('end')}{sql} "
        "GROUP BY container_id HAVING countIf(JSONExtractString(detail, 'kind') = 'sandbox') = 0 "
        "AND notEmpty(starts) AND (empty(ends) OR last_end > {begin:Int64} OR last_start > last_end)"
        f"{after} LIMIT {MAX_CONTAINERS + 1} {_LARGE_BLOCKS}",
        parameters,
    )


def known(where: Where, part: Part = EVERYTHING) -> Query:
    """Containers as the API server told of them."""
    sql, parameters = where.conditions("cluster", "namespace", "node")
    after = ""
    if where.container:
        sql += " AND position(containers, {container:String}) > 0"
        after, parameters["container"] = " AND container_ = {container:String}", where.container
    plain = ("cluster", "node", "namespace", "workload_kind", "workload", "team", "name", "uid")
    # Before anything is unpacked; the run before is named in `containers` only.
    theirs = f"arrayExists(id -> {part.of('id')}, container_ids) OR position(containers, 'previous_id') > 0"
    named = ", ".join(f"argMax({name}, {_ORDER}) AS {name}_" for name in (*plain, "runtime_class"))
    return Query(
        f"SELECT one.1 AS container_id, {named}, any(one.2) AS container_, any(one.3) AS image_, "
        "max(one.4) AS started, max(one.5) AS finished, "
        f"toUnixTimestamp64Nano(maxIf(time, event IN {_GONE})) AS gone "
        f"FROM (SELECT {', '.join(plain)}, event, time, seq, row, "
        "JSONExtractString(detail, 'detail', 'runtime_class') AS runtime_class, "
        "arrayJoin(arrayConcat(arrayMap(c -> (JSONExtractString(c, 'container_id'), "
        "JSONExtractString(c, 'name'), JSONExtractString(c, 'image'), JSONExtractInt(c, 'started'), "
        "JSONExtractInt(c, 'finished')), told), arrayMap(c -> (JSONExtractString(c, 'previous_id'), "
        "JSONExtractString(c, 'name'), JSONExtractString(c, 'image'), "
        "JSONExtractInt(c, 'previous_started'), JSONExtractInt(c, 'previous_finished')), told))) AS one "
        "FROM (SELECT *, JSONExtractArrayRaw(containers) AS told FROM objects "
        f"WHERE kind = 'Pod' AND node != '' AND ({theirs}){sql})) "
        f"WHERE one.1 != '' AND {part.of('one.1')} GROUP BY container_id "
        "HAVING started > 0 AND started < {end:Int64} AND (finished = 0 OR finished > {begin:Int64}) "
        f"AND (gone <= 0 OR gone > {{begin:Int64}}){after} LIMIT {MAX_CONTAINERS + 1} {_LARGE_BLOCKS}",
        parameters,
    )


def nodes(where: Where) -> Query:
    """Nodes as the API server told of them, those that went before the begin left out."""
    sql, parameters = where.conditions("cluster")
    if where.node:
        sql, parameters = sql + " AND name = {node:String}", {**parameters, "node": where.node}
    return Query(
        "SELECT cluster, name AS node, toUnixTimestamp64Nano(min(created)) AS created_, "
        f"toUnixTimestamp64Nano(maxIf(time, event IN {_GONE})) AS gone, argMax(phase, {_ORDER}) AS phase_, "
        f"argMax(JSONExtractString(detail, 'detail', 'system'), {_ORDER}) AS system "
        f"FROM objects WHERE kind = 'Node'{sql} GROUP BY cluster, name, uid "
        "HAVING created_ < {end:Int64} AND (gone <= 0 OR gone > {begin:Int64}) "
        f"LIMIT {MAX_NODES + 1}",
        parameters,
    )


def namespaces(where: Where) -> Query:
    """Labels of namespaces, the last ones known."""
    sql = " AND cluster = {cluster:String}" if where.cluster else ""
    return Query(
        f"SELECT cluster, name AS namespace, argMax(labels, {_ORDER}) AS labels_ FROM objects "
        f"WHERE kind = 'Namespace'{sql} GROUP BY cluster, name LIMIT {MAX_NAMESPACES + 1}",
        {"cluster": where.cluster} if where.cluster else {},
    )


def _without(parameters: dict[str, Value], *names: str) -> dict[str, Value]:
    return {name: value for name, value in parameters.items() if name not in names}


def _moment(name: str) -> str:
    return f"fromUnixTimestamp64Nano({{{name}:Int64}}, 'UTC')"
