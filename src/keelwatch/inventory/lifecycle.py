"""Pure: from two versions of an object to what happened in between, as rows of `lifecycle`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from keelwatch.inventory.objects import Container, KubeObject
from keelwatch.inventory.rows import Resolved
from keelwatch.model.identity import Identity

Row = dict[str, Any]
OOM = "OOMKilled"
_EVICTIONS = frozenset(
    {
        "Evicted",
        "EvictionByEvictionAPI",
        "TerminationByKubelet",
        "PreemptionByScheduler",
        "DeletionByTaintManager",
    }
)


def identity_of(
    cluster: str, one: KubeObject, resolved: Resolved, container: Container | None = None
) -> Identity:
    """The identity of a pod, of a container in it, of a workload or of a node; all by Kubernetes."""
    of_node = one.kind == "Node"
    at = container or Container("")
    values = {
        "node": one.name if of_node else one.node,
        "namespace": one.namespace,
        "pod": one.name if one.kind == "Pod" else "",
        "pod_uid": one.uid if one.kind == "Pod" else "",
        "container": at.name,
        "container_id": at.container_id,
        "image": at.image,
        "image_digest": at.image_digest,
        "workload_kind": resolved.workload_kind,
        "workload": resolved.workload,
        "revision": one.revision,
        "team": resolved.team,
    }
    told = " ".join(f"{name}=kubernetes" for name, value in values.items() if value)
    return Identity(cluster=cluster, restart=at.restart, identity_source=f"cluster=config {told}", **values)


def happened(
    cluster: str, old: KubeObject | None, new: KubeObject | None, resolved: Resolved, now: int
) -> list[Row]:
    """What happened between two versions; `now` is when it was noticed, in nanoseconds since the epoch."""
    one = new or old
    if one is None:
        return []
    if one.kind == "Pod":
        found = _pod(old, new, now)
    elif one.kind == "Node":
        found = _node(old, new, now)
    else:
        found = _workload(old, new, now)
    return [
        {
            **identity_of(cluster, one, resolved, container).columns(),
            "time": time,
            "kind": kind,
            "labels": dict(one.labels),
            "detail": orjson.dumps({"source": "kubernetes", "kind": one.kind, **detail}).decode(),
        }
        for time, kind, container, detail in found
    ]


_Found = tuple[int, str, Container | None, Row]


def _pod(old: KubeObject | None, new: KubeObject | None, now: int) -> Iterator[_Found]:
    if new is None:
        yield now, "pod_deleted", None, _why(old)
        return
    if new.node and not (old and old.node):
        yield new.scheduled or now, "pod_scheduled", None, {"created": new.created}
    if new.phase in ("Running", "Succeeded", "Failed") and (
        old is None or old.phase in ("Pending", "", "Unknown")
    ):
        yield _first_start(new) or now, "pod_started", None, {}
    if new.reason in _EVICTIONS and (old is None or old.reason != new.reason):
        yield now, "pod_evicted", None, _why(new)
    if new.phase in ("Succeeded", "Failed") and (old is None or old.phase != new.phase):
        yield _last_end(new) or now, "pod_ended", None, {"phase": new.phase} | _why(new)
    yield from _containers(old, new, now)


def _containers(old: KubeObject | None, new: KubeObject, now: int) -> Iterator[_Found]:
    before = {(one.role, one.name): one for one in old.containers} if old else {}
    for at in new.containers:
        was = before.get((at.role, at.name))
        if was and was.image != at.image:
            yield now, "image_changed", at, {"from": was.image, "to": at.image}
        if at.reason == OOM and not (was and was.container_id == at.container_id and was.reason == OOM):
            yield at.finished or now, "container_oom_killed", at, {"exit_code": at.exit_code}
        if at.previous_reason == OOM and not (was and _oom_told(was, at.previous_id)):
            yield (
                at.previous_finished or now,
                "container_oom_killed",
                _previous(at),
                {"exit_code": at.previous_exit_code},
            )
        if at.role == "ephemeral" and was is None and old is not None:
            yield now, "ephemeral_container_added", at, {"image": at.image}


def _oom_told(was: Container, container_id: str) -> bool:
    return (was.container_id == container_id and was.reason == OOM) or (
        was.previous_id == container_id and was.previous_reason == OOM
    )


def _previous(at: Container) -> Container:
    """The run before: another container of the same name."""
    return Container(
        at.name,
        at.image,
        at.role,
        at.image_digest,
        container_id=at.previous_id,
        restart=max(0, at.restart - 1),
    )


def _first_start(pod: KubeObject) -> int:
    """When the first of the usual containers ran."""
    starts = [at.previous_started or at.started for at in pod.containers if not at.role]
    return min((start for start in starts if start), default=pod.started)


def _last_end(pod: KubeObject) -> int:
    return max((at.finished for at in pod.containers), default=0)


def _why(one: KubeObject | None) -> Row:
    told = {"reason": one.reason, "message": one.message} if one else {}
    return {name: value for name, value in told.items() if value}


def _node(old: KubeObject | None, new: KubeObject | None, now: int) -> Iterator[_Found]:
    if new is None:
        yield now, "node_removed", None, {}
    elif old is None:
        yield new.created or now, "node_added", None, dict(new.detail)
    elif old.phase != new.phase:
        yield now, "node_ready" if new.phase == "Ready" else "node_not_ready", None, {}


def _workload(old: KubeObject | None, new: KubeObject | None, now: int) -> Iterator[_Found]:
    if new is None or old is None or new.kind not in ("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
        return
    before = {at.name: at.image for at in old.containers}
    for at in new.containers:
        if before.get(at.name, at.image) != at.image:
            yield now, "image_changed", at, {"from": before[at.name], "to": at.image}
    if new.rolled and new.rolled != old.rolled:
        yield now, "rolled_out", None, {"revision": new.rolled, "images": [at.image for at in new.containers]}
