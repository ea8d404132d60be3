"""Coverage of a time: the facts are fetched, each container is reckoned, the result is added up.

`Coverage.report` blocks; call it in a thread. It never holds more than a part of the containers.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from keelwatch.evidence.canary import canaries
from keelwatch.evidence.causes import MISSING
from keelwatch.evidence.facts import Container, CutOff, Node
from keelwatch.evidence.fetch import Facts, Fetch, Heard
from keelwatch.evidence.intervals import Intervals
from keelwatch.evidence.observed import Covered, Moment, Reckoner, silence
from keelwatch.evidence.question import Question, read
from keelwatch.evidence.sequence import Sequences
from keelwatch.evidence.totals import Tally, Totals, container_record, seconds, stretches, tally_of
from keelwatch.query.times import rfc3339
from keelwatch.store.database import Database

Record = dict[str, Any]

_MOST_NODES = 5_000


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator set. `scope` is a label selector of namespaces, "" for all."""

    scope: str = ""
    sandboxes: frozenset[str] = frozenset()


class Coverage:
    """Answers from the store. One question at a time: each may hold a hundred megabytes."""

    def __init__(
        self, database: Database, heard: Heard, policy: Policy, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._fetch = Fetch(database, heard)
        self._policy = policy
        self._clock = clock
        self._listening = clock()
        self._lock = threading.Lock()
        self._sequences = Sequences(database)

    def signs(self) -> dict[str, float]:
        """When each agent was last heard of, as far as that is stored: spool → seconds since the epoch."""
        return {spool: time / 1e9 for spool, time in self._fetch.signs(self._clock()).items()}

    def report(self, given: dict[str, str]) -> Record:
        """The answer of `GET /api/v1/coverage`; raise QuestionError."""
        asked = read(given, self._clock(), self._policy.scope)
        with self._lock:
            facts = self._fetch.facts(asked.where, asked.now, self._listening)
            return self._report(asked, facts)

    def _report(self, asked: Question, facts: Facts) -> Record:
        totals, worst = Totals(asked.by, asked.limit), _Worst(asked.limit)
        ran = self._fetch.containers(asked.where, facts.nodes)
        for found in covered(asked, facts, ran, self._policy.sandboxes):
            tally = tally_of(found)
            totals.add(found.container, tally)
            worst.add(found, tally)
        containers = worst.records()
        at = _moment(facts, self._policy.sandboxes)
        nodes = [_node_record(node, at) for node in _by_worry(facts.nodes.values(), at)]
        return {
            "from": rfc3339(facts.begin),
            "to": rfc3339(facts.end),
            "by": asked.by,
            "scope": asked.scope.selector or "all",
            "inventories": sorted(facts.inventories),
            **totals.records(),
            "missing": stretches(containers, asked.limit),
            "containers": containers,
            "nodes": nodes[:_MOST_NODES],
            "node_count": len(nodes),
            "unwatched_nodes": sum(1 for node in nodes if node["state"] not in ("watched", "windows_node")),
            "hub_down": _spans(facts.hub_down),
            "cut_off": [_cut_record(one) for one in facts.cut_off],
            "inventory_off": _spans(facts.inventory_off),
            "sequences": self._sequences.records(asked.where),
            "canaries": canaries(self._fetch, asked.where, asked.now),
            "causes": MISSING,
        }


def covered(
    asked: Question, facts: Facts, containers: Iterable[Container], sandboxes: frozenset[str] = frozenset()
) -> Iterable[Covered]:
    """Each container that is asked about and ran within the time."""
    reckoner = Reckoner(_moment(facts, sandboxes))
    for one in containers:
        if not all(getattr(one, name) == value for name, value in asked.wanted):
            continue
        if not asked.scope.has(one, facts.labels):
            continue
        node = facts.nodes.get((one.cluster, one.node)) or Node(one.cluster, one.node)
        found = reckoner.cover(one, node, facts.losses.of(one))
        if found.ran:
            yield found


def _spans(found: Intervals) -> list[Record]:
    return [{"from": rfc3339(begin), "to": rfc3339(end)} for begin, end in found]


def _cut_record(one: CutOff) -> Record:
    cluster, node = one.node
    times = {"from": rfc3339(one.begin), "to": rfc3339(one.end), "seconds": seconds(one.end - one.begin)}
    return {"cluster": cluster, "node": node, **times}


def _moment(facts: Facts, sandboxes: frozenset[str]) -> Moment:
    return Moment(facts.begin, facts.end, facts.now, facts.listening, sandboxes)


class _Worst:
    """The containers with the longest missing or lossy time, with their intervals."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, str, Covered]] = []

    def add(self, found: Covered, tally: Tally) -> None:
        """Keep it if it is one of the worst."""
        missed = sum([one.lossy + sum(one.missing.values()) for one in tally.values()])
        entry = (missed, found.container.container_id, found)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        elif self._most:
            heapq.heappushpop(self._heap, entry)

    def records(self) -> list[Record]:
        """The worst first."""
        return [container_record(found, rfc3339) for _, _, found in sorted(self._heap, reverse=True)]


def _by_worry(nodes: Iterable[Node], at: Moment) -> list[Node]:
    """Nodes that are there now, those without an agent first."""
    here = [node for node in nodes if not node.gone and not _is_past(node, at)]
    return sorted(here, key=lambda node: (state_of(node, at) == "watched", node.key))


def _is_past(node: Node, at: Moment) -> bool:
    """A machine that no API server lists, and whose agent ended before the time asked about."""
    return not node.listed and node.watch is not None and node.watch.last < at.begin


def state_of(node: Node, at: Moment) -> str:
    """`watched`, or the cause why it is not at the end of the time asked about."""
    watch = node.watch
    if node.system == "windows":
        return "windows_node"
    if watch is None:
        return "no_agent"
    if watch.stopped:
        return "agent_down"
    if silence(watch, at):
        return "agent_silent"
    return "sensor_off" if any(end >= watch.last for _, end in watch.sensor_off[-1:]) else "watched"


def _node_record(node: Node, at: Moment) -> Record:
    watch = node.watch
    return {
        "cluster": node.cluster,
        "node": node.name,
        "listed": node.listed,
        "system": node.system,
        "phase": node.phase,
        "state": state_of(node, at),
        "first": rfc3339(watch.first) if watch else None,
        "last": rfc3339(watch.last) if watch else None,
    }
