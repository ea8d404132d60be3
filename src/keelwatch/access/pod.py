"""What was seen of one pod's containers, as far as it says which processes belong to which request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keelwatch.access.entry import Entry

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Container:
    """One run of a container. Times are ns since the epoch, 0 for not known; `ended` 0 also for not yet.

    `tells`: its agent is one that records the ends of trees, and that said so by naming the container's own.
    """

    id: str
    name: str
    first: int
    started: int = 0
    ended: int = 0
    entries: tuple[Entry, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict, compare=False)
    tells: bool = False

    @property
    def main(self) -> Entry | None:
        """The container's own process: the one that the runtime made it with, else the oldest seen.

        One that ran before the agent was there has no exec in the records; what an exec put in has.
        """
        own = [entry for entry in self.entries if entry.main]
        before = [entry for entry in self.entries if not entry.time]
        return min(own or before, key=lambda entry: entry.start, default=None)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that was not observed (a gap), from when to when, in words."""

    begin: int
    end: int
    text: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """All that is known of a pod. `entries`: those whose exec was seen, the earliest first."""

    entries: tuple[Entry, ...] = ()
    containers: tuple[Container, ...] = ()
    losses: tuple[Loss, ...] = ()

    def lost(self, begin: int, end: int) -> list[str]:
        """What was not observed between two times, on the nodes that the pod's records come from."""
        nodes = {str(one.identity.get("node", "")) for one in self.containers}
        return [
            one.text
            for one in self.losses
            if one.begin <= end and begin <= one.end and (not one.node or not nodes or one.node in nodes)
        ]


def containers(trees: Sequence[Entry], lifecycle: Iterable[Row]) -> tuple[Container, ...]:
    """The pod's containers from its trees and lifecycle records, the earliest first."""
    by_id: dict[str, list[Entry]] = {}
    for tree in trees:
        by_id.setdefault(tree.container_id, []).append(tree)
    rows = {str(row["container_id"]): row for row in lifecycle}
    found = [_container(id_, by_id.get(id_, []), rows.get(id_)) for id_ in {**by_id, **rows}]
    return tuple(sorted(found, key=lambda one: (one.first, one.id)))


def _container(id_: str, trees: Sequence[Entry], row: Row | None) -> Container:
    identity: Row = row or trees[0].identity
    started = int(row["started"]) if row else 0
    seen = [int(tree.identity["seen"]) for tree in trees]
    trees = _with_main(trees, row) if row else trees
    return Container(
        id=id_,
        name=str(identity["container"]),
        first=min([*seen, *([started] if started else [])], default=0),
        started=started,
        ended=int(row["ended"]) if row else 0,
        tells=bool(row and int(row["entry_pid"])),
        entries=tuple(trees),
        identity=identity,
    )


def _with_main(trees: Sequence[Entry], row: Row) -> list[Entry]:
    """The trees with the container's own process, where the agent told which one that is."""
    pid, start = int(row["entry_pid"]), int(row["entry_start"])
    if not pid:
        return list(trees)
    others = [replace(tree, main=False) for tree in trees if (tree.pid, tree.start) != (pid, start)]
    known = [replace(tree, main=True) for tree in trees if (tree.pid, tree.start) == (pid, start)]
    if known:
        return [*known, *others]
    name = str(row["container"])
    main = Entry(str(row["container_id"]), pid, start, int(row["started"]), container=name,
                 node=str(row["node"]), main=True, identity=row)  # fmt: skip
    return [main, *others]
