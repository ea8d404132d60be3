"""From a container's details to its identity; the owning workload is inferred from labels.

Without the API server the owner is not told, but the controllers leave their marks: a label with
the hash or the job, and a pod name that is built from the owner's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from keelwatch.enrich.runtime.details import ContainerDetails
from keelwatch.model.identity import Identity

HASH = "pod-template-hash"
ROLLOUT_HASH = "rollouts-pod-template-hash"
REVISION = "controller-revision-hash"
STATEFUL_POD = "statefulset.kubernetes.io/pod-name"
JOB_NAMES = ("batch.kubernetes.io/job-name", "job-name")
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
TAKEN = ("namespace", "pod", "pod_uid", "restart", "image", "image_digest")
_SUFFIX = re.compile(r"-?[a-z0-9]{5}$")
_ORDINAL = re.compile(r"-\d+$")
_CRON_TIME = re.compile(r"-\d{8,}$")


class Workload(NamedTuple):
    """The top owner of a container."""

    kind: str
    name: str
    revision: str = ""


def identity_of(details: ContainerDetails, cluster: str, node: str) -> Identity:
    """The identity that records of this container carry, with the source of each field."""
    sources = {"cluster": "config", "node": "config", "container_id": "cgroup"}
    sources |= {name: details.sources[name] for name in TAKEN if name in details.sources}
    if "name" in details.sources:
        sources["container"] = details.sources["name"]
    workload = workload_of(details)
    namespace = details.namespace
    if not details.pod and COMPOSE_PROJECT in details.labels:
        namespace = details.labels[COMPOSE_PROJECT]
        sources["namespace"] = "runtime"
    named = {"workload_kind": workload.kind, "workload": workload.name, "revision": workload.revision}
    sources |= {name: "inferred" for name, value in named.items() if value}
    return Identity(
        cluster=cluster,
        node=node,
        namespace=namespace,
        pod=details.pod,
        pod_uid=details.pod_uid,
        container=details.name,
        container_id=details.id,
        restart=max(0, min(details.restart, 0xFFFFFFFF)),
        image=details.image,
        image_digest=details.image_digest,
        workload_kind=workload.kind,
        workload=workload.name,
        revision=workload.revision,
        identity_source=" ".join(f"{name}={source}" for name, source in sources.items()),
    )


def workload_of(details: ContainerDetails) -> Workload:
    """The workload that owns the container; a pod or container that nothing owns is its own."""
    if details.pod:
        return _of_pod(details.pod, details)
    if details.labels.get(COMPOSE_SERVICE):
        return Workload("Container", details.labels[COMPOSE_SERVICE])
    return Workload("Container", details.name) if details.name else Workload("", "")


def _of_pod(pod: str, details: ContainerDetails) -> Workload:
    labels = details.labels
    job = next((labels[key] for key in JOB_NAMES if labels.get(key)), "")
    if job:
        return _of_job(job)
    if labels.get(ROLLOUT_HASH):
        return Workload("Rollout", _without_hash(pod, labels[ROLLOUT_HASH]), labels[ROLLOUT_HASH])
    if labels.get(HASH):
        return Workload("Deployment", _without_hash(pod, labels[HASH]), labels[HASH])
    if labels.get(REVISION):
        return _of_revision(pod, labels)
    # While the labels are not known the owner is open: a bare pod would be a wrong answer.
    return Workload("Pod", pod) if details.complete else Workload("", "")


def _of_revision(pod: str, labels: dict[str, str] | object) -> Workload:
    known = labels if isinstance(labels, dict) else {}
    revision = known.get(REVISION, "")
    name = _ORDINAL.sub("", pod)
    if STATEFUL_POD in known or (name != pod and revision.startswith(f"{name}-")):
        return Workload("StatefulSet", name, revision)
    return Workload("DaemonSet", _SUFFIX.sub("", pod), revision)


def _of_job(job: str) -> Workload:
    cron = _CRON_TIME.sub("", job)
    return Workload("CronJob", cron, job) if cron != job else Workload("Job", job)


def _without_hash(pod: str, template_hash: str) -> str:
    """A long owner's name is cut before the random suffix, so the hash may be cut, too."""
    replica_set = _SUFFIX.sub("", pod)
    for length in range(len(template_hash), 0, -1):
        if replica_set.endswith(f"-{template_hash[:length]}"):
            return replica_set[: -length - 1]
        if len(pod) < 63:
            break
    return replica_set
