"""The cluster as it is now: objects by uid, who owns whom, and what each pod's identity is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.owners import top_owner
from keelwatch.inventory.rows import Resolved
from keelwatch.inventory.teams import TeamRules
from keelwatch.kit.lru import LRU


class Change(NamedTuple):
    """An object came (no `old`), changed, or went (no `new`). `touched`: only its owners or team did."""

    old: KubeObject | None
    new: KubeObject | None
    touched: bool = False

    @property
    def object(self) -> KubeObject:
        """The newest version there is."""
        one = self.new or self.old
        assert one is not None  # noqa: S101  # one of the two is always there
        return one


class Cluster:
    """Not thread-safe: Inventory holds its lock."""

    def __init__(self, rules: TeamRules) -> None:
        self._rules = rules
        self._objects: dict[str, dict[str, KubeObject]] = {}  # kind → uid → object
        self._kinds: dict[str, str] = {}  # uid → kind
        self._namespaces: dict[str, KubeObject] = {}
        self._pods: dict[str, dict[str, str]] = {}  # namespace → name → uid
        self._children: dict[str, set[str]] = {}  # owner's uid → what it owns
        self._resolved: dict[str, Resolved] = {}  # of pods
        self._same = LRU[Resolved, Resolved](50_000)

    def get(self, uid: str) -> KubeObject | None:
        """The object with this uid."""
        return self._objects.get(self._kinds.get(uid, ""), {}).get(uid)

    def pod(self, namespace: str, name: str) -> KubeObject | None:
        """The pod with this name."""
        return self.get(self._pods.get(namespace, {}).get(name, ""))

    def count(self, kind: str) -> int:
        """How many objects of a kind there are."""
        return len(self._objects.get(kind, ()))

    def uids(self, kind: str) -> set[str]:
        """The uids of all objects of a kind."""
        return set(self._objects.get(kind, ()))

    def put(self, one: KubeObject) -> list[Change]:
        """Take a new version; return what changed by it, pods whose owner or team became another included."""
        old = self.get(one.uid)
        if old is not None and old.rolled and not one.rolled:
            one = replace(one, rolled=old.rolled)  # a rollout under way: the last that was finished
        self._objects.setdefault(one.kind, {})[one.uid] = one
        if old == one:
            return []
        self._index(old, one)
        if one.kind == "Pod":
            self._resolve(one)
            return [Change(old, one)]
        return [Change(old, one), *self._touched(old, one)]

    def remove(self, uid: str) -> Change | None:
        """Forget an object; None if it was not known."""
        old = self.get(uid)
        if old is None:
            return None
        del self._objects[self._kinds.pop(uid)][uid]
        if old.owner is not None:
            self._orphan(old.owner.uid, uid)
        if old.kind == "Namespace":
            self._namespaces.pop(old.name, None)
        if old.kind == "Pod":
            self._unname(old)
        return Change(old, None)

    def forget(self, uid: str) -> None:
        """The removed pod's identity is not needed any more."""
        if uid not in self._kinds:
            self._resolved.pop(uid, None)

    def resolved(self, one: KubeObject) -> Resolved:
        """The workload and team of an object; of a pod as they were when it was last seen."""
        if one.kind == "Pod" and (known := self._resolved.get(one.uid)):
            return known
        return self._resolve_now(one)

    def _index(self, old: KubeObject | None, one: KubeObject) -> None:
        self._kinds[one.uid] = one.kind
        if one.kind == "Namespace":
            self._namespaces[one.name] = one
        if one.kind == "Pod":
            self._pods.setdefault(one.namespace, {})[one.name] = one.uid
        before = old.owner.uid if old is not None and old.owner else ""
        after = one.owner.uid if one.owner else ""
        if before != after and before:
            self._orphan(before, one.uid)
        if after and after != before:
            self._children.setdefault(after, set()).add(one.uid)

    def _unname(self, pod: KubeObject) -> None:
        """The name is nobody's now, unless another pod has it already: a list tells of ends last."""
        names = self._pods.get(pod.namespace, {})
        if names.get(pod.name) == pod.uid:
            del names[pod.name]
        if not names:
            self._pods.pop(pod.namespace, None)

    def _orphan(self, owner: str, uid: str) -> None:
        children = self._children.get(owner, set())
        children.discard(uid)
        if not children:
            self._children.pop(owner, None)

    def _touched(self, old: KubeObject | None, one: KubeObject) -> Iterator[Change]:
        """Pods below an owner or in a namespace whose identity is another one now."""
        if old is not None and (old.labels, old.team_mark, old.owner) == (
            one.labels,
            one.team_mark,
            one.owner,
        ):
            return
        for pod in list(self._pods_of(one)):
            before = self._resolved.get(pod.uid)
            if self._resolve(pod) != before:
                yield Change(pod, pod, touched=True)

    def _pods_of(self, one: KubeObject, depth: int = 0) -> Iterator[KubeObject]:
        if one.kind == "Namespace":
            yield from (pod for pod in self._objects.get("Pod", {}).values() if pod.namespace == one.name)
            return
        for uid in self._children.get(one.uid, ()):
            child = self.get(uid)
            if child is not None and child.kind == "Pod":
                yield child
            elif child is not None and depth < 3:
                yield from self._pods_of(child, depth + 1)

    def _resolve(self, pod: KubeObject) -> Resolved:
        made = self._resolve_now(pod)
        before = self._resolved.get(pod.uid)
        if before is not None and before.known and not made.known:  # a Job goes before its pods
            made = made._replace(workload_kind=before.workload_kind, workload=before.workload, known=True)
        if made not in self._same:
            self._same[made] = made
        shared = self._resolved[pod.uid] = self._same[made]
        return shared

    def _resolve_now(self, one: KubeObject) -> Resolved:
        if one.kind in ("Node", "Namespace"):
            return Resolved()
        top = top_owner(one, self.get)
        workload = self.get(top.uid) if top.uid != one.uid else None
        team = self._rules.team_of(one, workload, self._namespaces.get(one.namespace))
        return Resolved(top.kind, top.name, team.name, team.source, top.known)
