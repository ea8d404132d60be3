"""The kinds of Kubernetes objects that are watched, and where the API server has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`path` lists the objects of all namespaces; `group` is "" for the core group."""

    name: str
    path: str
    group: str
    resource: str


KINDS: tuple[Kind, ...] = (
    Kind("Namespace", "/api/v1/namespaces", "", "namespaces"),
    Kind("Node", "/api/v1/nodes", "", "nodes"),
    Kind("Deployment", "/apis/apps/v1/deployments", "apps", "deployments"),
    Kind("StatefulSet", "/apis/apps/v1/statefulsets", "apps", "statefulsets"),
    Kind("DaemonSet", "/apis/apps/v1/daemonsets", "apps", "daemonsets"),
    Kind("ReplicaSet", "/apis/apps/v1/replicasets", "apps", "replicasets"),
    Kind("ReplicationController", "/api/v1/replicationcontrollers", "", "replicationcontrollers"),
    Kind("CronJob", "/apis/batch/v1/cronjobs", "batch", "cronjobs"),
    Kind("Job", "/apis/batch/v1/jobs", "batch", "jobs"),
    Kind("Pod", "/api/v1/pods", "", "pods"),
)
"""Owners stand before what they own, so that a pod's owners are known when it is listed."""

WATCHED: frozenset[tuple[str, str]] = frozenset((kind.group, kind.name) for kind in KINDS)
"""(group, kind)"""
