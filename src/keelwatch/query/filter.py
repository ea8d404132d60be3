"""What is asked for → conditions in SQL. Every value goes in as a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from keelwatch.query.errors import QuestionError
from keelwatch.query.late import Late, LateOwner, corrected
from keelwatch.query.selector import Requirement, parse_selector
from keelwatch.query.times import NS, parse_time
from keelwatch.store.escape import Value

PRIORITIES: tuple[str, ...] = (
    "emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug",
)  # fmt: skip
"""Falco's priorities, the most urgent first."""

KINDS = {
    "deployment": "Deployment", "deployments": "Deployment", "deploy": "Deployment",
    "statefulset": "StatefulSet", "statefulsets": "StatefulSet", "sts": "StatefulSet",
    "daemonset": "DaemonSet", "daemonsets": "DaemonSet", "ds": "DaemonSet",
    "replicaset": "ReplicaSet", "replicasets": "ReplicaSet", "rs": "ReplicaSet",
    "replicationcontroller": "ReplicationController", "replicationcontrollers": "ReplicationController",
    "rc": "ReplicationController",
    "deploymentconfig": "DeploymentConfig", "deploymentconfigs": "DeploymentConfig", "dc": "DeploymentConfig",
    "cronjob": "CronJob", "cronjobs": "CronJob", "cj": "CronJob",
    "job": "Job", "jobs": "Job",
    "pod": "Pod", "pods": "Pod", "po": "Pod",
    "container": "Container", "containers": "Container",
}  # fmt: skip
"""Workload kinds as kubectl and oc accept them → as Kubernetes writes them; Container: outside Kubernetes."""

# A file event has two identities: who acted, and whose file it was. Both are "of" a workload.
_FILE_COLUMNS = {
    "namespace": "file_namespace",
    "workload": "file_workload",
    "pod": "file_pod",
    "container": "file_container",
    "container_id": "file_container_id",
}
_DAY_NS = 86_400 * NS
MAX_PATTERN = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """The parameters of a question as text; empty means any. See docs/reference/api.md."""

    cluster: str = ""
    node: str = ""
    namespace: str = ""
    workload: str = ""
    pod: str = ""
    container: str = ""
    container_id: str = ""
    team: str = ""
    selector: str = ""
    since: str = ""
    until: str = ""
    grep: str = ""
    regex: str = ""
    stream: str = ""
    kind: str = ""
    type: str = ""
    phase: str = ""
    rule: str = ""
    priority: str = ""
    id: str = ""
    what: str = ""
    cause: str = ""
    user: str = ""
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    audit_id: str = ""
    confidence: str = ""
    late: Late = ()  # not asked for: who was completed later (query.late)


NAMES: frozenset[str] = frozenset(field_.name for field_ in fields(Filter)) - {"late"}
"""What can be asked for."""


def filter_of(values: Mapping[str, str]) -> Filter:
    """The filter of parameters; those it does not have are left out."""
    known: dict[str, Any] = {name: value for name, value in values.items() if name in NAMES}
    return Filter(**known)


@dataclass(frozen=True, slots=True)
class Span:
    """Batches of one spool: above `after`, up to and including `upto`."""

    spool: str
    after: int
    upto: int


@dataclass(slots=True)
class Conditions:
    """Conditions that must all hold, and their parameters."""

    clauses: list[str] = field(default_factory=list)
    parameters: dict[str, Value] = field(default_factory=dict)

    def bind(self, value: Value, kind: str) -> str:
        """Return the placeholder of a new parameter."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"

    def equal(self, column: str, value: str) -> None:
        """`column` is `value`, if there is one."""
        if value:
            self.clauses.append(f"{column} = {self.bind(value, 'String')}")

    def arrived(self, spans: Sequence[Span]) -> str:
        """The condition on rows of these batches."""
        return " OR ".join(
            f"spool = {self.bind(span.spool, 'String')} AND seq > {self.bind(span.after, 'UInt64')} "
            f"AND seq <= {self.bind(span.upto, 'UInt64')}"
            for span in spans
        )

    @property
    def sql(self) -> str:
        """The condition as one expression."""
        return " AND ".join(f"({clause})" for clause in self.clauses) or "1"


def conditions(
    wanted: Filter,
    now: int,
    searched: tuple[str, ...],
    has_file: bool,
    parameters: dict[str, Value] | None = None,
    *,
    node_wide: bool = False,
) -> Conditions:
    """The conditions that every table shares. `searched` are the columns of `grep` and `regex`.

    Give `parameters` when several conditions stand in one statement: new ones are added to them.
    `node_wide` adds the records of whole nodes on which the containers ran that are asked for.
    """
    found = Conditions(parameters={} if parameters is None else parameters)
    found.equal("cluster", wanted.cluster)
    found.equal("node", wanted.node)
    if node_wide:
        _containers_or_nodes(found, wanted)
    else:
        _containers(found, wanted, has_file)
    _times(found, wanted, now)
    _patterns(found, wanted, searched)
    return found


def split_workload(text: str) -> tuple[str, str]:
    """`deploy/checkout` → (Deployment, checkout); `checkout` → ("", checkout)."""
    kind, slash, name = text.partition("/")
    if not slash:
        return "", text
    if kind.lower() not in KINDS:
        raise QuestionError(
            "workload", f"{kind!r} is not a kind of workload", f"one of {', '.join(sorted(set(KINDS)))}"
        )
    return KINDS[kind.lower()], name


def at_least(priority: str) -> tuple[str, ...]:
    """The priorities that are as urgent as `priority`, or more."""
    lowered = priority.lower()
    if lowered == "info":
        lowered = "informational"
    if lowered not in PRIORITIES:
        raise QuestionError("priority", f"{priority!r} is not a priority", f"one of {', '.join(PRIORITIES)}")
    names = PRIORITIES[: PRIORITIES.index(lowered) + 1]
    return (*names, "info") if "informational" in names else names


def _containers(found: Conditions, wanted: Filter, has_file: bool) -> None:
    _identity(found, wanted, has_file)
    if wanted.team:
        clause = f"team = {found.bind(wanted.team, 'String')}"
        found.clauses.append(corrected(clause, wanted.late, lambda one: one.team == wanted.team, found.bind))
    if wanted.selector:
        found.clauses.append(_labels(found, parse_selector(wanted.selector)))


def _containers_or_nodes(found: Conditions, wanted: Filter) -> None:
    """What nobody saw on a node, nobody saw of its containers either."""
    asked = Conditions(parameters=found.parameters)
    _containers(asked, wanted, has_file=False)
    if not asked.clauses:
        return
    nodes = f"SELECT node FROM lifecycle WHERE {asked.sql}"
    found.clauses.append(
        f"({asked.sql}) OR (container_id = '' AND namespace = '' AND (node = '' OR node IN ({nodes})))"
    )


def _identity(found: Conditions, wanted: Filter, has_file: bool) -> None:
    kind, workload = split_workload(wanted.workload)
    values = {
        "namespace": wanted.namespace,
        "workload": workload,
        "pod": wanted.pod,
        "container": wanted.container,
    }
    actor = [f"{name} = {found.bind(value, 'String')}" for name, value in values.items() if value]
    if wanted.container_id:
        actor.append(f"startsWith(container_id, {found.bind(wanted.container_id, 'String')})")
    if not actor:
        return
    owner = " AND ".join(_of_file(clause) for clause in actor)
    if kind:
        actor.append(f"workload_kind = {found.bind(kind, 'String')}")
    if workload and wanted.late:
        actor = [_of_workload(found, wanted.late, actor, kind, workload)]
    acted = " AND ".join(actor)
    found.clauses.append(f"({acted}) OR ({owner})" if has_file else acted)


def _of_workload(found: Conditions, late: Late, actor: list[str], kind: str, workload: str) -> str:
    """The conditions on who acted; which workload it was may have become known later."""
    named = [clause for clause in actor if clause.startswith(("workload =", "workload_kind ="))]
    rest = [clause for clause in actor if clause not in named]

    def holds(one: LateOwner) -> bool:
        return one.workload == workload and kind in ("", one.workload_kind)

    return " AND ".join([*rest, corrected(" AND ".join(named), late, holds, found.bind)])


def _of_file(clause: str) -> str:
    """The same condition on the file's owner instead of the one who acted."""
    if clause.startswith("startsWith(container_id,"):
        return clause.replace("container_id", "file_container_id", 1)
    column, rest = clause.split(" ", 1)
    return f"{_FILE_COLUMNS[column]} {rest}"


def _times(found: Conditions, wanted: Filter, now: int) -> None:
    """Bounds on the time, and looser ones on the day, by which whole partitions are left out."""
    for name, operator, margin in (("since", ">=", -_DAY_NS), ("until", "<", _DAY_NS)):
        text = getattr(wanted, name)
        if not text:
            continue
        at = parse_time(name, text, now)
        bound = found.bind(at, "Int64")
        day = found.bind(at + margin, "Int64")
        found.clauses.append(f"time {operator} fromUnixTimestamp64Nano({bound}, 'UTC')")
        found.clauses.append(f"day {operator[0]}= toDate(fromUnixTimestamp64Nano({day}, 'UTC'))")


def _patterns(found: Conditions, wanted: Filter, searched: tuple[str, ...]) -> None:
    for name, text in (("grep", wanted.grep), ("regex", wanted.regex)):
        if len(text) > MAX_PATTERN:
            raise QuestionError(name, f"the pattern is longer than {MAX_PATTERN} characters")
    if wanted.grep:
        # LIKE rather than position(): it lets the token index leave out what cannot match.
        pattern = found.bind(f"%{_escape_like(wanted.grep)}%", "String")
        found.clauses.append(" OR ".join(f"{column} LIKE {pattern}" for column in searched))
    if wanted.regex:
        pattern = found.bind(wanted.regex, "String")
        found.clauses.append(" OR ".join(f"match({column}, {pattern})" for column in searched))


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _labels(found: Conditions, requirements: list[Requirement]) -> str:
    """Containers whose labels meet all requirements, as the API server told them, or else the runtime.

    A pod's labels as they were last: a query for `app=checkout` is for pods that are, or were when
    they ended, labelled so. What no lifecycle record is of yet is found by its pod.
    """
    tests = " AND ".join(_label(found, requirement) for requirement in requirements)
    told = (
        "SELECT uid, argMax(labels, (time, seq, row)) AS labels FROM objects WHERE kind = 'Pod' GROUP BY uid"
    )
    own = (  # the last labels that were known: early and late records may have none
        "SELECT container_id, max(pod_uid) AS uid, argMaxIf(labels, time, length(labels) > 0) AS own "
        "FROM lifecycle WHERE container_id != '' GROUP BY container_id"
    )
    known = (
        "SELECT of_container.container_id AS container_id, "
        "mapUpdate(of_container.own, of_pod.labels) AS labels "
        f"FROM ({own}) AS of_container LEFT JOIN ({told}) AS of_pod ON of_container.uid = of_pod.uid"
    )
    return (
        f"container_id IN (SELECT container_id FROM ({known}) WHERE {tests}) "
        f"OR (pod_uid != '' AND pod_uid IN (SELECT uid FROM ({told}) WHERE {tests}))"
    )


def _label(found: Conditions, requirement: Requirement) -> str:
    key = found.bind(requirement.key, "String")
    if requirement.operator == "exists":
        return f"mapContains(labels, {key})"
    if requirement.operator == "!exists":
        return f"NOT mapContains(labels, {key})"
    values = found.bind(requirement.values, "Array(String)")
    within = f"mapContains(labels, {key}) AND has({values}, labels[{key}])"
    return within if requirement.operator == "in" else f"NOT ({within})"
