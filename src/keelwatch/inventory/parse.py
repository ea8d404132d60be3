"""Pure: the API server's JSON → KubeObject. What is missing or of another type is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keelwatch.inventory.bounds import (
    MAX_CONTAINERS,
    items,
    mapping,
    nanoseconds,
    number,
    pairs,
    share,
    shared,
    text,
)
from keelwatch.inventory.objects import Container, KubeObject, OwnerRef, Pairs

MAX_OWNERS = 32
_ROLES = (
    ("", "containers", "containerStatuses"),
    ("init", "initContainers", "initContainerStatuses"),
    ("ephemeral", "ephemeralContainers", "ephemeralContainerStatuses"),
)
_HASHES = ("pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash")
_JOBS = ("batch.kubernetes.io/job-name", "job-name")
_DEPLOYMENT_REVISION = "deployment.kubernetes.io/revision"
_OPENSHIFT_REVISION = "openshift.io/deployment-config.latest-version"
_DAEMON_GENERATION = "deprecated.daemonset.template.generation"

Json = Mapping[str, Any]


def parse(kind: str, raw: Json, team_label: str = "", team_annotation: str = "") -> KubeObject | None:
    """What is kept of an object, or None for what is none."""
    meta = mapping(raw.get("metadata"))
    uid, name = text(meta.get("uid"), 64), text(meta.get("name"), 256)
    if not uid or not name:
        return None
    labels, cut = pairs(meta.get("labels"), team_label)
    annotations = mapping(meta.get("annotations"))
    common: dict[str, Any] = dict(
        kind=kind,
        namespace=shared(meta.get("namespace"), 256),
        name=name,
        uid=uid,
        resource_version=text(meta.get("resourceVersion"), 64),
        created=nanoseconds(meta.get("creationTimestamp")),
        labels=labels,
        labels_cut=cut,
        owner=_owner(meta.get("ownerReferences")),
        team_mark=shared(annotations.get(team_annotation), 256) if team_annotation else "",
    )
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    if kind == "Pod":
        common |= _pod(spec, status, dict(labels), annotations)
    elif kind == "Node":
        common |= _node(spec, status)
    elif kind != "Namespace":
        common |= _workload(kind, meta, annotations, spec, status)
    return KubeObject(**common)


def _owner(references: object) -> OwnerRef | None:
    """The controller; where none says that it is one, the first owner named."""
    found = items(references, MAX_OWNERS)
    chosen = next((one for one in found if one.get("controller") is True), found[0] if found else None)
    if chosen is None or not text(chosen.get("name")):
        return None
    return OwnerRef(
        kind=shared(chosen.get("kind"), 256),
        name=shared(chosen.get("name"), 256),
        uid=shared(chosen.get("uid"), 64),
        group=shared(text(chosen.get("apiVersion"), 256).rpartition("/")[0], 256),
    )


def _pod(spec: Json, status: Json, labels: dict[str, str], annotations: Json) -> dict[str, Any]:
    conditions = {text(one.get("type")): one for one in items(status.get("conditions"), 64)}
    scheduled = mapping(conditions.get("PodScheduled"))
    disrupted = mapping(conditions.get("DisruptionTarget"))
    evicted = disrupted.get("status") == "True" and not status.get("reason")
    told = disrupted if evicted else status
    is_scheduled = scheduled.get("status") == "True"
    return {
        "node": shared(spec.get("nodeName"), 256),
        "phase": shared(status.get("phase"), 64),
        "reason": shared(told.get("reason"), 128),
        "message": text(told.get("message"), 512),
        "revision": shared(_revision(labels) or annotations.get(_OPENSHIFT_REVISION), 256),
        "containers": tuple(_containers(spec, status)),
        "detail": _kept(runtime_class=spec.get("runtimeClassName")),
        "scheduled": nanoseconds(scheduled.get("lastTransitionTime")) if is_scheduled else 0,
        "started": nanoseconds(status.get("startTime")),
    }


def _revision(labels: dict[str, str]) -> str:
    return next((labels[key] for key in (*_HASHES, *_JOBS) if labels.get(key)), "")


def _containers(spec: Json, status: Json) -> Iterator[Container]:
    for role, specs, statuses in _ROLES:
        told = {text(one.get("name")): one for one in items(status.get(statuses), MAX_CONTAINERS)}
        for one in items(spec.get(specs), MAX_CONTAINERS):
            yield _container(role, one, mapping(told.get(text(one.get("name")))))


def _container(role: str, spec: Json, status: Json) -> Container:
    state, details = _state(status.get("state"))
    _, previous = _state(status.get("lastState"))
    return Container(
        name=shared(spec.get("name"), 256),
        image=shared(spec.get("image")),
        role=role,
        image_digest=shared(_digest(text(status.get("imageID")))),
        container_id=_container_id(status.get("containerID") or details.get("containerID")),
        restart=max(0, number(status.get("restartCount"))),
        state=state,
        started=nanoseconds(details.get("startedAt")),
        finished=nanoseconds(details.get("finishedAt")),
        reason=shared(details.get("reason"), 128),
        exit_code=number(details.get("exitCode")),
        previous_id=_container_id(previous.get("containerID")),
        previous_started=nanoseconds(previous.get("startedAt")),
        previous_finished=nanoseconds(previous.get("finishedAt")),
        previous_reason=shared(previous.get("reason"), 128),
        previous_exit_code=number(previous.get("exitCode")),
    )


def _state(value: object) -> tuple[str, Json]:
    for name in ("running", "terminated", "waiting"):
        if isinstance(details := mapping(value).get(name), dict):
            return name, details
    return "", {}


def _container_id(value: object) -> str:
    """`containerd://<id>` → the id."""
    return text(value, 256).rpartition("//")[2]


def _digest(image_id: str) -> str:
    """`docker-pullable://name@sha256:…`, `name@sha256:…` or `sha256:…` → `sha256:…`."""
    return (
        image_id.rpartition("@")[2] if "@" in image_id else image_id if image_id.startswith("sha256:") else ""
    )


def _node(spec: Json, status: Json) -> dict[str, Any]:
    conditions = {
        text(one.get("type")): text(one.get("status")) for one in items(status.get("conditions"), 64)
    }
    info = mapping(status.get("nodeInfo"))
    return {
        "phase": "Ready" if conditions.get("Ready") == "True" else "NotReady",
        "detail": _kept(
            system=info.get("operatingSystem"),
            architecture=info.get("architecture"),
            kernel=info.get("kernelVersion"),
            kubelet=info.get("kubeletVersion"),
            runtime=info.get("containerRuntimeVersion"),
            unschedulable="true" if spec.get("unschedulable") is True else "",
        ),
    }


def _kept(**values: object) -> Pairs:
    return share(tuple((name, shared(value, 256)) for name, value in values.items() if text(value)))


def _workload(kind: str, meta: Json, annotations: Json, spec: Json, status: Json) -> dict[str, Any]:
    template = mapping(spec.get("template")) or mapping(
        mapping(mapping(spec.get("jobTemplate")).get("spec")).get("template")
    )
    containers = items(mapping(template.get("spec")).get("containers"), MAX_CONTAINERS)
    revision, rolled = _ROLLOUT.get(kind, _no_rollout)(meta, annotations, status)
    return {
        "revision": revision,
        "rolled": rolled,
        "containers": tuple(
            Container(shared(one.get("name"), 256), shared(one.get("image"))) for one in containers
        ),
    }


def _no_rollout(meta: Json, annotations: Json, status: Json) -> tuple[str, str]:
    del status
    template = mapping(meta.get("labels")).get("pod-template-hash")
    return shared(template or annotations.get(_OPENSHIFT_REVISION), 256), ""


def _deployment(meta: Json, annotations: Json, status: Json) -> tuple[str, str]:
    """Its controller says "NewReplicaSetAvailable" when a rollout is done, and until the next begins."""
    revision = shared(annotations.get(_DEPLOYMENT_REVISION), 64)
    conditions = items(status.get("conditions"), 64)
    progressing = next((one for one in conditions if one.get("type") == "Progressing"), {})
    seen = number(status.get("observedGeneration")) >= number(meta.get("generation"))
    done = seen and progressing.get("reason") == "NewReplicaSetAvailable"
    return revision, revision if done else ""


def _stateful(meta: Json, annotations: Json, status: Json) -> tuple[str, str]:
    del meta, annotations
    revision = shared(status.get("updateRevision"), 256)
    return revision, revision if status.get("currentRevision") == revision else ""


def _daemon(meta: Json, annotations: Json, status: Json) -> tuple[str, str]:
    revision = shared(annotations.get(_DAEMON_GENERATION), 64)
    seen = number(status.get("observedGeneration")) >= number(meta.get("generation"))
    wanted = number(status.get("desiredNumberScheduled"))
    done = seen and number(status.get("updatedNumberScheduled")) >= wanted
    return revision, revision if done and number(status.get("numberAvailable")) >= wanted else ""


_ROLLOUT = {"Deployment": _deployment, "StatefulSet": _stateful, "DaemonSet": _daemon}
