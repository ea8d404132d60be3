"""Whom a request is about: the pod or workload that is its target, as the other records name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from keelwatch.audit.parse import requested
from keelwatch.detect.fields.audit import parameters
from keelwatch.model import kubelet
from keelwatch.model.audit import AuditEvent
from keelwatch.model.identity import Identity


class PodAt(NamedTuple):
    """Which pod a request is about: the one that had the name at `time` (nanoseconds since the epoch).

    That is when the API server received the request: an exec may end long after its pod.
    `uid` is known where the API server answered with the pod; `creates`: the request made it.
    """

    namespace: str
    name: str
    time: int
    uid: str = ""
    creates: bool = False


Identify: TypeAlias = Callable[[PodAt], Identity | None]
"""The pod's identity, None where it is not known. Raises StoreError where it cannot be told now."""

WORKLOADS = {
    "deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet",
    "jobs": "Job", "cronjobs": "CronJob", "replicasets": "ReplicaSet",
}  # fmt: skip
MAX_NAME = 253
MAX_UID = 64


def nobody(_pod: PodAt) -> Identity | None:
    """An Identify that knows no pod."""
    return None


def identity_of(event: AuditEvent, cluster: str, identify: Identify) -> Identity:
    """The target's identity; of requests about no object only the cluster is known."""
    namespace, name = _part(event, "namespace"), _name(event)
    resource = event.target.get("resource")
    namespace, pod, container = _by_way_of_node(event) or (namespace, name if resource == "pods" else "", "")
    if pod:
        known = identify(_pod_at(event, namespace, pod)) or Identity(namespace=namespace, pod=pod)
        container = container or next(iter(parameters(event).get("container", [])), "")[:MAX_NAME]
        return replace(known, cluster=cluster, container=container)
    if resource in WORKLOADS and name:
        return Identity(
            cluster=cluster, namespace=namespace, workload_kind=WORKLOADS[resource], workload=name
        )
    if resource == "namespaces":
        return Identity(cluster=cluster, namespace=namespace or name)
    return Identity(cluster=cluster, namespace=namespace)


def _by_way_of_node(event: AuditEvent) -> tuple[str, str, str] | None:
    """(namespace, pod, container) of a request that enters a pod by the kubelet's own address."""
    if (event.target.get("resource"), event.target.get("subresource")) != ("nodes", "proxy"):
        return None
    found = kubelet.entry_of(event.text("requestURI"))
    return (found.namespace, found.pod, found.container) if found else None


def _pod_at(event: AuditEvent, namespace: str, name: str) -> PodAt:
    """Only the API server's own word on the uid counts: what a client sends may name any."""
    answered = event.text("responseObject", "kind") == "Pod"
    uid = event.text("responseObject", "metadata", "uid")[:MAX_UID] if answered else ""
    code = event.get("responseStatus", "code")
    failed = isinstance(code, int) and code >= 400
    creates = event.text("verb") == "create" and not event.text("objectRef", "subresource") and not failed
    time = event.time if creates else requested(event) or event.time
    return PodAt(namespace, name, time, uid, creates)


def _name(event: AuditEvent) -> str:
    """A name that the API server made up stands in its answer only."""
    return _part(event, "name") or event.text("responseObject", "metadata", "name")[:MAX_NAME]


def _part(event: AuditEvent, name: str) -> str:
    return event.text("objectRef", name)[:MAX_NAME]
