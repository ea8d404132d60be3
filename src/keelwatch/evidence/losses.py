"""Pure: losses by whom they took from, as each gap names it: a container, a pod, or else a node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from keelwatch.evidence.causes import LOSSES, kinds_lost
from keelwatch.evidence.facts import Container, Loss, NodeKey

Row = Mapping[str, Any]
_Index = defaultdict[tuple[str, ...], list[Loss]]


class Losses:
    """Made of rows of query.coverage.losses. What names no cluster (the hub's own) is of any."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._nodes: _Index = defaultdict(list)
        self._containers: _Index = defaultdict(list)
        self._uids: _Index = defaultdict(list)  # by cluster, node and the pod's uid
        self._names: _Index = defaultdict(list)  # by cluster, node, namespace and pod
        for row in rows:
            for loss in _losses(row):
                self._put(loss, (str(row["cluster"]), str(row["node"])))

    def _put(self, loss: Loss, node: NodeKey) -> None:
        if loss.container_id:
            self._containers[loss.container_id,].append(loss)
        elif loss.of_pod:
            if loss.pod_uid:
                self._uids[*node, loss.pod_uid].append(loss)
            if loss.pod:
                self._names[*node, loss.namespace, loss.pod].append(loss)
        else:
            self._nodes[node].append(loss)

    def of_node(self, key: NodeKey) -> tuple[Loss, ...]:
        """What all containers of a node lost."""
        return tuple(loss for place in _places(key) for loss in self._nodes.get(place, ()))

    def of(self, one: Container) -> tuple[Loss, ...]:
        """What a container lost by itself, or with its pod."""
        own = self._containers.get((one.container_id,), [])
        if not (self._uids or self._names):
            return tuple(own)
        return (*own, *(loss for loss in self._of_pod(one) if loss.container in ("", one.container)))

    def _of_pod(self, one: Container) -> Iterable[Loss]:
        """By the pod's uid where both know it, or else by its name, which another pod may have had before."""
        for place in _places((one.cluster, one.node)):
            if one.pod_uid:
                yield from self._uids.get((*place, one.pod_uid), ())
            if one.pod:
                named = self._names.get((*place, one.namespace, one.pod), ())
                yield from (loss for loss in named if not (loss.pod_uid and one.pod_uid))


def _places(key: NodeKey) -> tuple[NodeKey, ...]:
    return (key, ("", key[1])) if key[0] else (key,)


def _losses(row: Row) -> Iterable[Loss]:
    if row["cause"] not in LOSSES:
        return
    for kind in kinds_lost(str(row["what"])):
        yield Loss(
            kind,
            str(row["cause"]),
            int(row["begin_"]),
            int(row["end_"]),
            int(row["amount"]),
            str(row["unit"]),
            detail=str(row["detail_"])[:300],
            **{name: str(row[name]) for name in ("namespace", "pod", "pod_uid", "container", "container_id")},
        )
