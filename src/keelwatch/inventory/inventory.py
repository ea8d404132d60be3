"""The inventory: takes versions of objects from the watches, keeps the cluster, its history and the feed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from keelwatch.inventory import metrics
from keelwatch.inventory.cluster import Change, Cluster
from keelwatch.inventory.feed import Feed, Wake, entry, tells
from keelwatch.inventory.history import History, Write
from keelwatch.inventory.kinds import Kind
from keelwatch.inventory.lives import Life
from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.rows import Resolved
from keelwatch.inventory.teams import TeamRules
from keelwatch.kit import clock
from keelwatch.kit.lru import LRU
from keelwatch.store.database import Database

ORPHAN = 5.0
"""Seconds that a pod waits for its owner to be seen; behind that its reference has to do."""
MAX_PAST = 2_000
"""Pods that went, kept until the history has certainly written their end."""


class Inventory:
    """Thread-safe. `ready` is set when all pods were listed once."""

    def __init__(self, name: str, rules: TeamRules, database: Database, write: Write) -> None:
        self.rules = rules
        self._cluster = Cluster(rules)
        self._feed = Feed()
        self._early: dict[str, float] = {}  # uid → until when agents are not told, oldest first
        self._refused: set[tuple[str, str]] = set()  # (group, kind) of what we may not see
        self._past: LRU[tuple[str, str], Life] = LRU(MAX_PAST)  # (namespace, name) → the last that went
        self._lock = threading.RLock()
        self.history = History(name, database, write, self.resolved)
        self.history.forgotten = self._forget
        self.ready = threading.Event()

    def put(self, one: KubeObject) -> None:
        """A version of an object, new or not."""
        now = clock.now()
        with self._lock:
            changes = self._cluster.put(one)
            for change in changes:
                self._tell(change)
        for change in changes:
            self._note(change, now)

    def remove(self, uid: str, last: KubeObject | None = None, *, late: bool = False) -> None:
        """An object was deleted; `last` is its last version, `late`: it is noticed only now."""
        now = clock.now()
        if last is not None:
            self.put(last)
        with self._lock:
            change = self._cluster.remove(uid)
            self._early.pop(uid, None)
            if change is not None and change.object.kind == "Pod":
                self._ended(change.object, now)
        if change is not None:
            self.history.went(change.object, now, late=late)

    def listed(self, kind: str, uids: set[str]) -> None:
        """All objects of a kind were put; these are their uids, so what is known besides is gone."""
        with self._lock:
            gone = self._cluster.uids(kind) - uids
            metrics.OBJECTS.labels(kind).set(len(uids))
        for uid in gone:
            self.remove(uid, late=True)
        self.history.listed(kind, clock.now())
        if kind == "Pod":
            self.history.settled()
            self.ready.set()

    def resolved(self, one: KubeObject) -> Resolved:
        """The workload and the team of an object."""
        with self._lock:
            return self._cluster.resolved(one)

    def get(self, uid: str) -> KubeObject | None:
        """The living object with this uid."""
        with self._lock:
            return self._cluster.get(uid)

    def lives(self, namespace: str, name: str) -> list[Life]:
        """The pod with this name, and the last one that went."""
        with self._lock:
            found = [self._past[namespace, name]] if (namespace, name) in self._past else []
            if pod := self._cluster.pod(namespace, name):
                found.append(_life(pod, self._cluster.resolved(pod)))
            return found

    def counts(self, kinds: tuple[str, ...]) -> dict[str, int]:
        """How many objects of each kind there are."""
        with self._lock:
            return {kind: self._cluster.count(kind) for kind in kinds}

    def has_news(self, node: str, since: int) -> bool:
        """Whether a node's agent has to be told something newer than `since`."""
        with self._lock:
            return self._feed.has_news(node, since)

    def subscribe(self, node: str, wake: Wake) -> Callable[[], None]:
        """Call `wake`, from any thread, when the node has news; return what ends that."""
        with self._lock:
            leave = self._feed.subscribe(node, wake)

        def locked() -> None:
            with self._lock:
                leave()

        return locked

    def news(self, node: str, since: int) -> dict[str, Any]:
        """The answer of `GET /v1/inventory`: pods of the node that changed since a version, or all."""
        with self._lock:
            whole, changed, gone, version = self._feed.news(node, since)
            pods = [(pod, self._cluster.resolved(pod)) for uid in changed if (pod := self._cluster.get(uid))]
        told = [entry(pod, resolved) for pod, resolved in pods]
        metrics.FEEDS.labels(str(whole).lower()).inc()
        return {"version": version, "full": whole, "pods": told, "gone": gone}

    def refused(self, kind: Kind, *, refused: bool) -> None:
        """Whether the API server keeps a kind from us: then no pod waits for an owner of it."""
        with self._lock:
            if not refused:
                self._refused.discard((kind.group, kind.name))
                return
            self._refused.add((kind.group, kind.name))
            for pod in [pod for uid in self._early if (pod := self._cluster.get(uid))]:
                self._offer(pod)

    def tell_late(self, now: float) -> None:
        """Tell of pods whose owner was not seen in time, with what is known; `now` as `time.monotonic`."""
        with self._lock:
            due = [uid for uid, until in self._early.items() if until <= now]
            for uid in due:
                del self._early[uid]
                if (pod := self._cluster.get(uid)) and pod.node:
                    self._feed.put(pod.node, uid)

    def _ended(self, pod: KubeObject, now: int) -> None:
        if pod.node:
            self._feed.remove(pod.node, pod.uid)
        self._past[pod.namespace, pod.name] = _life(pod, self._cluster.resolved(pod), now)

    def _tell(self, change: Change) -> None:
        """Keep the feed of the pod's node current."""
        new, old = change.new, change.old
        if new is None or new.kind != "Pod":
            return
        if old is not None and old.node and old.node != new.node:
            self._feed.remove(old.node, new.uid)
        if new.node and (change.touched or tells(old, new)):
            self._offer(new)

    def _offer(self, pod: KubeObject) -> None:
        """Tell of a pod, or a little later, so that agents hear of it once and rightly."""
        if self._awaits_owner(pod):
            self._early.setdefault(pod.uid, time.monotonic() + ORPHAN)
        else:
            self._early.pop(pod.uid, None)
            self._feed.put(pod.node, pod.uid)

    def _awaits_owner(self, pod: KubeObject) -> bool:
        if self._cluster.resolved(pod).known or self._feed.tells_of(pod.node, pod.uid):
            return False
        if pod.owner is not None and (pod.owner.group, pod.owner.kind) in self._refused:
            return False
        return pod.created > clock.now() - int(ORPHAN * 1e9)

    def _note(self, change: Change, now: int) -> None:
        if change.new is None:
            return
        if change.old is None:
            self.history.came(change.new, now)
        else:
            self.history.changed(change.old, change.new, now)

    def _forget(self, uid: str) -> None:
        with self._lock:
            self._cluster.forget(uid)


def _life(pod: KubeObject, of: Resolved, ended: int = 0) -> Life:
    return Life(pod.uid, pod.created, ended, pod.node, of.workload_kind, of.workload, pod.revision, of.team)
