"""What each node's agent is told: the identities of the pods on its node, and what changed since.

A version is larger than all before it, those of an earlier hub included, so an agent that asks with
a version from before a restart gets everything once.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.rows import Resolved

MAX_GONE = 2000
"""Pods that went, remembered for each node; an agent that asks for older news gets everything."""
IDLE = 3600.0
"""Seconds behind which a node without pods that nobody asks for is forgotten: autoscalers make new ones."""
MAX_NODES = 20_000
"""Nodes remembered; beyond, those without pods go at once. Kubernetes is made for 5,000."""
_LOOK = 60.0

Wake = Callable[[], None]


@dataclass(slots=True)
class _Node:
    floor: int  # news from before this version are not complete
    pods: dict[str, int] = field(default_factory=dict)  # uid → version
    gone: deque[tuple[int, str]] = field(default_factory=deque)
    waiting: list[Wake] = field(default_factory=list)
    used: float = 0.0  # when it last changed or was asked for

    @property
    def idle(self) -> bool:
        """Whether forgetting it makes no difference but a whole answer to who asks again."""
        return not self.pods and not self.waiting


class Feed:
    """Not thread-safe: Inventory holds its lock. `version` is the newest of all nodes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.version = time.time_ns() // 1_000_000
        self._clock = clock
        self._nodes: OrderedDict[str, _Node] = OrderedDict()  # what was used last stands last
        self._look = 0.0

    def put(self, node: str, uid: str) -> None:
        """A pod of the node came, or its identity changed."""
        at = self._at(node)
        self.version += 1
        at.pods[uid] = self.version
        _wake(at)

    def remove(self, node: str, uid: str) -> None:
        """A pod of the node is gone."""
        at = self._at(node)
        if at.pods.pop(uid, None) is None:
            return
        self.version += 1
        at.gone.append((self.version, uid))
        if len(at.gone) > MAX_GONE:
            at.floor = at.gone.popleft()[0]
        _wake(at)

    def news(self, node: str, since: int) -> tuple[bool, list[str], list[str], int]:
        """(everything?, uids that came or changed, uids that went, version up to which this is)."""
        at = self._at(node)
        if since < at.floor or since > self.version:
            return True, list(at.pods), [], self.version
        changed = [uid for uid, version in at.pods.items() if version > since]
        return False, changed, [uid for version, uid in at.gone if version > since], self.version

    def tells_of(self, node: str, uid: str) -> bool:
        """Whether the node's agent is told of this pod already."""
        at = self._nodes.get(node)
        return at is not None and uid in at.pods

    def has_news(self, node: str, since: int) -> bool:
        """Whether an answer would say anything."""
        whole, changed, gone, _ = self.news(node, since)
        return whole or bool(changed) or bool(gone)

    def subscribe(self, node: str, wake: Wake) -> Callable[[], None]:
        """Call `wake` at the node's next news; return what ends that."""
        waiting = self._at(node).waiting
        waiting.append(wake)

        def leave() -> None:
            if wake in waiting:
                waiting.remove(wake)

        return leave

    def _at(self, node: str) -> _Node:
        at = self._nodes.get(node)
        if at is None:
            self._make_room()
            at = self._nodes[node] = _Node(self.version)
        at.used = self._clock()
        self._nodes.move_to_end(node)
        return at

    def _make_room(self) -> None:
        """Forget what is idle: for long, or whatever was used longest ago when there are too many."""
        now = self._clock()
        if now >= self._look:
            self._look = now + _LOOK
            for node in [name for name, at in self._nodes.items() if at.idle and at.used < now - IDLE]:
                del self._nodes[node]
        if len(self._nodes) >= MAX_NODES:
            oldest = next((name for name, at in self._nodes.items() if at.idle), None)
            if oldest is not None:
                del self._nodes[oldest]


def _wake(at: _Node) -> None:
    for wake in at.waiting:
        wake()


def entry(pod: KubeObject, resolved: Resolved) -> dict[str, Any]:
    """A pod as agents are told: what completes the identity of its containers."""
    return {
        "uid": pod.uid,
        "namespace": pod.namespace,
        "name": pod.name,
        "labels": dict(pod.labels),
        "workload_kind": resolved.workload_kind,
        "workload": resolved.workload,
        "revision": pod.revision,
        "team": resolved.team,
        "containers": {
            at.name: {"image": at.image, "image_digest": at.image_digest} for at in pod.containers
        },
        "phase": pod.phase,
        "static": pod.owner is not None and pod.owner.is_node,
    }


def tells(old: KubeObject | None, new: KubeObject) -> bool:
    """Whether agents have to hear of a new version of a pod."""
    if old is None:
        return True
    return _told(old) != _told(new)


def _told(pod: KubeObject) -> tuple[object, ...]:
    images = tuple((at.name, at.image, at.image_digest) for at in pod.containers)
    return (pod.node, pod.labels, pod.owner, pod.phase, pod.revision, images)
