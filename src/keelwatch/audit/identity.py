"""Whom a request is about: the pod or workload that is its target, as the other records name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from keelwatch.detect.fields.audit import kubelet_path, parameters
from keelwatch.model.audit import AuditEvent
from keelwatch.model.identity import Identity

Identify: TypeAlias = Callable[[str, str], Identity | None]
"""(namespace, pod) → the pod's identity, None where it is not known."""

WORKLOADS = {
    "deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet",
    "jobs": "Job", "cronjobs": "CronJob", "replicasets": "ReplicaSet",
}  # fmt: skip
CONTAINER_ENTRIES = frozenset({"exec", "run", "attach"})
POD_ENTRIES = CONTAINER_ENTRIES | {"portForward"}
"""What the kubelet calls the ways in: /exec/NAMESPACE/POD/CONTAINER, or with the pod's uid before that."""
MAX_NAME = 253


def nobody(_namespace: str, _pod: str) -> Identity | None:
    """An Identify that knows no pod."""
    return None


def identity_of(event: AuditEvent, cluster: str, identify: Identify) -> Identity:
    """The target's identity; of requests about no object only the cluster is known."""
    namespace, name = _part(event, "namespace"), _name(event)
    resource = event.target.get("resource")
    namespace, pod, container = _by_way_of_node(event) or (namespace, name if resource == "pods" else "", "")
    if pod:
        known = identify(namespace, pod) or Identity(namespace=namespace, pod=pod)
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
    what, namespace, pod, *rest = (*kubelet_path(event), "", "", "")
    container = [part for part in rest if part][-1:] if what in CONTAINER_ENTRIES else []
    if not pod or what not in POD_ENTRIES:
        return None
    return namespace[:MAX_NAME], pod[:MAX_NAME], "".join(container)[:MAX_NAME]


def _name(event: AuditEvent) -> str:
    """A name that the API server made up stands in its answer only."""
    return _part(event, "name") or event.text("responseObject", "metadata", "name")[:MAX_NAME]


def _part(event: AuditEvent, name: str) -> str:
    return event.text("objectRef", name)[:MAX_NAME]
