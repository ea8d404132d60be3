"""Pure: rows of the store → facts. See query.coverage for what the rows are."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keelwatch.evidence.facts import PATIENCE, Container, CutOff, Node, NodeKey, Watch
from keelwatch.evidence.intervals import (
    END,
    NOTHING,
    Interval,
    Intervals,
    intersect,
    interval,
    subtract,
    union,
)
from keelwatch.evidence.losses import Losses

SECOND = 1_000_000_000
SAME_START = 2 * SECOND
"""The API server tells starts in whole seconds; the runtime's own time within this is the same start."""
CUT_OFF = PATIENCE + 60 * SECOND
"""The least silence that is said to be one: signs of life are kept once a minute."""
GOODBYE = 30 * SECOND
"""How long an agent that says that it stops may still be heard of: it sends what is left."""

Row = Mapping[str, Any]
_NAMES = ("cluster", "node", "namespace", "workload_kind", "workload", "team", "pod", "container", "image")
_TOLD = tuple((name, f"{name}_") for name in (*_NAMES, "pod_uid"))
_LISTED = tuple((name, {"pod": "name_", "pod_uid": "uid_"}.get(name, column)) for name, column in _TOLD)
"""Names of a container, and the columns in which agents and the API server tell them."""


@dataclass(slots=True)
class _Agent:
    """One agent's spool."""

    node: NodeKey
    first: int
    last: int
    stopped: bool
    sessions: list[tuple[int, bool, bool]]  # (start, whether with logs, with sensor)
    down: list[Interval] = field(default_factory=list)
    sensor_off: list[Interval] = field(default_factory=list)
    blind: str = ""


def watches(agents: Iterable[Row], outages: Iterable[Row], signs: Mapping[str, int]) -> dict[NodeKey, Watch]:
    """Who watched each node. `signs` has when each agent was last heard of, by spool."""
    found = {str(row["spool"]): _agent(row, signs.get(str(row["spool"]), 0)) for row in agents}
    for row in outages:
        agent = found.get(str(row["spool"]))
        if agent is None:
            continue
        where = int(row["begin_"]), int(row["end_"])
        agent.last = max(agent.last, where[1])
        (agent.down if row["cause"] == "agent_down" else agent.sensor_off).append(where)
        agent.blind = agent.blind or (str(row["detail"]) if row["cause"] == "sensor_off" else "")
    by_node: dict[NodeKey, list[tuple[str, _Agent]]] = defaultdict(list)
    for spool, agent in found.items():
        by_node[agent.node].append((spool, agent))
    return {key: _watch(agents_) for key, agents_ in by_node.items()}


def _agent(row: Row, heard: int) -> _Agent:
    sessions = [
        (int(time), bool(started), bool(logs), bool(sensor))
        for time, started, logs, sensor in row["sessions"]
    ]
    last_time, last_started, *_ = sessions[-1]
    stopped = not last_started and heard <= last_time + GOODBYE
    return _Agent(
        node=(str(row["cluster_"]), str(row["node_"])),
        first=int(row["first"]),
        last=last_time if stopped else max(last_time, heard),
        stopped=stopped,
        sessions=[(time, logs, sensor) for time, started, logs, sensor in sessions if started],
    )


def _watch(agents: Sequence[tuple[str, _Agent]]) -> Watch:
    """A node's agents as one: what one of them saw was seen."""
    ups = {spool: subtract(interval(one.first, one.last), union(one.down)) for spool, one in agents}
    up = union(pair for found in ups.values() for pair in found)
    logs = (subtract(ups[spool], _without(one, 1)) for spool, one in agents)
    seeing = (subtract(ups[spool], union((*_without(one, 2), *one.sensor_off))) for spool, one in agents)
    newest = max((one for _, one in agents), key=lambda one: one.last)
    return Watch(
        first=min(one.first for _, one in agents),
        last=newest.last,
        up=up,
        stopped=newest.stopped,
        sensor_off=subtract(up, union(pair for found in seeing for pair in found)),
        blind=next((one.blind for _, one in agents if one.blind), ""),
        logs=union(pair for found in logs for pair in found),
        agents=tuple(sorted(spool for spool, _ in agents)),
    )


def _without(agent: _Agent, flag: int) -> Intervals:
    """When an agent ran without something: each start said so."""
    ends = [*(session[0] for session in agent.sessions[1:]), END]
    runs = zip(agent.sessions, ends, strict=True)
    return union((session[0], end) for session, end in runs if not session[flag])


def nodes(listed: Iterable[Row], watched: Mapping[NodeKey, Watch], lost: Losses) -> dict[NodeKey, Node]:
    """All nodes that the API server or an agent knows."""
    found: dict[NodeKey, Node] = {}
    for row in sorted(listed, key=lambda row: int(row["created_"])):  # of two of one name the later one
        key = str(row["cluster"]), str(row["node"])
        found[key] = Node(
            *key, True, str(row["system"]), str(row["phase_"]), max(0, int(row["gone"])),
            watched.get(key), lost.of_node(key),
        )  # fmt: skip
    for key, watch in watched.items():
        found.setdefault(key, Node(*key, watch=watch, losses=lost.of_node(key)))
    return found


def cut_off(silences: Iterable[Row], known: Mapping[NodeKey, Node], hub_down: Intervals) -> list[CutOff]:
    """When agents ran and the hub, too, and nothing was heard: something between them was away."""
    watches_ = ((node.key, node.watch) for node in known.values() if node.watch)
    by_spool = {spool: (key, watch) for key, watch in watches_ for spool in watch.agents}
    found = []
    for row in silences:
        if (theirs := by_spool.get(str(row["agent"]))) is None:
            continue
        key, watch = theirs
        silent = subtract(interval(int(row["begin_"]), int(row["end_"])), hub_down)
        pieces = intersect(silent, watch.up)
        found += [CutOff(key, begin, end) for begin, end in pieces if end - begin > CUT_OFF]
    return found


def containers(
    told_by_agents: Iterable[Row], told_by_kubernetes: Iterable[Row], known: Mapping[NodeKey, Node]
) -> Iterator[Container]:
    """Each container once; of one that both know, Kubernetes says whose it is and the runtime when it ran.

    The rows may be iterators: none is kept.
    """
    listed = {str(row["container_id"]): _listed(row) for row in told_by_kubernetes}
    for row in told_by_agents:
        yield _watched(row, listed.pop(str(row["container_id"]), None), known)
    yield from listed.values()


def _watched(row: Row, other: Container | None, known: Mapping[NodeKey, Node]) -> Container:
    one = Container(
        container_id=str(row["container_id"]),
        **{name: row[column] for name, column in _TOLD},
        runtime=str(row["handler"]),
        known_by="agent",
        has_log=bool(row["has_log"]),
    )
    node = known.get((one.cluster, one.node))
    watch = node.watch if node else None
    first = watch.first if watch else 0
    starts = [(int(time), int(taken), int(files)) for time, taken, files in row["starts"]]
    one.taken = tuple((taken or max(time, first), files) for time, taken, files in starts)
    runs = _runs(starts, [int(end) for end in row["ends"]])
    if other is None:
        one.runs = _ended(runs, one, watch)
    else:
        _name(one, other)
        one.known_by = "kubernetes+agent"
        one.runs = _joined(runs, other.runs)
    return one


def _listed(row: Row) -> Container:
    """One as the API server tells of it."""
    return Container(
        container_id=str(row["container_id"]),
        **{name: sys.intern(row[column]) for name, column in _LISTED},  # type: ignore[arg-type]  # all text
        runtime=str(row["runtime_class_"]),
        known_by="kubernetes",
        runs=_by_kubernetes(row),
    )


def _name(one: Container, other: Container) -> None:
    for name in _NAMES:
        if told := getattr(other, name):
            setattr(one, name, told)
    one.pod_uid = one.pod_uid or other.pod_uid
    one.runtime = "/".join(dict.fromkeys(name for name in (other.runtime, one.runtime) if name))


def _runs(starts: Sequence[tuple[int, int, int]], ends: Sequence[int]) -> Intervals:
    """Starts and ends in order; an agent that starts anew tells the start of what runs again."""
    moments = [(time, True, taken) for time, taken, _ in starts] + [(end, False, end) for end in ends]
    runs: list[Interval] = []
    begin = 0
    ended = 0
    for time, is_start, taken in sorted(moments, key=lambda moment: (max(moment[0], moment[2]), moment[1])):
        if is_start:
            # The runtime tells when it was created; one that ended since then was started again later.
            begin = begin or (time if time > ended else taken)
        elif begin:
            runs.append((begin, time))
            begin, ended = 0, time
    if begin:
        runs.append((begin, END))
    return union(runs)


def _ended(runs: Intervals, one: Container, watch: Watch | None) -> Intervals:
    """One that the agent did not find again after an outage ended meanwhile; when, nobody knows.

    It is taken to have run until the agent was back.
    """
    if not runs or runs[-1][1] != END or watch is None:
        return runs
    last = max(taken for taken, _ in one.taken)
    session = next((at for at, (_, end) in enumerate(watch.up) if last < end), None)
    if session is None or session + 1 >= len(watch.up):
        return runs
    return intersect(runs, interval(runs[0][0], watch.up[session + 1][0]))


def _joined(runs: Intervals, theirs: Intervals) -> Intervals:
    if not runs or not theirs:
        return runs or theirs
    begin, end = runs[0][0], runs[-1][1]  # in Kubernetes each run has an id of its own
    if theirs[0][0] + SAME_START < begin:
        begin = theirs[0][0]
    return interval(begin, theirs[-1][1] if end == END else end)


def _by_kubernetes(row: Row) -> Intervals:
    begin, finished, gone = (int(row[name]) for name in ("started", "finished", "gone"))
    end = finished or (gone if gone > 0 else END)
    if begin >= end:  # shorter than the second that the API server counts in
        end = begin + SECOND
    return interval(begin, end) or NOTHING
