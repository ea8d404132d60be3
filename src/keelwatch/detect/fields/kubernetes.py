"""`k8s.*`: which pod it happened in. Names and meanings are Falco's."""

from __future__ import annotations

from keelwatch.detect.fields.base import Field, Takes, Type, unsupplied
from keelwatch.model.event import Event

NO_LABELS = "the identity does not carry labels yet"


def _owner(kind: str, field: str, doc: str) -> Field:
    def read(event: Event, _argument: object) -> str | None:
        return event.identity.workload if event.identity.workload_kind == kind else None

    return Field(field, Type.STRING, doc, read=read)


FIELDS: tuple[Field, ...] = (
    Field("k8s.ns.name", Type.STRING, "The pod's namespace.", "identity.namespace", column="namespace"),
    Field("k8s.pod.name", Type.STRING, "The pod's name.", "identity.pod", column="pod"),
    Field("k8s.pod.uid", Type.STRING, "The pod's uid.", "identity.pod_uid", column="pod_uid"),
    Field("k8s.pod.id", Type.STRING, "The pod's uid.", "identity.pod_uid", column="pod_uid"),
    _owner("Deployment", "k8s.deployment.name", "The Deployment that owns the pod."),
    _owner("DaemonSet", "k8s.daemonset.name", "The DaemonSet that owns the pod."),
    _owner("StatefulSet", "k8s.statefulset.name", "The StatefulSet that owns the pod."),
    _owner("ReplicaSet", "k8s.rs.name", "The ReplicaSet that owns the pod, when no Deployment does."),
    Field("k8s.pod.label", Type.STRING, "A label of the pod.", takes=Takes.KEY, missing=NO_LABELS),
    Field("k8s.ns.label", Type.STRING, "A label of the namespace.", takes=Takes.KEY, missing=NO_LABELS),
    *unsupplied(
        "the identity does not carry it yet",
        [
            ("k8s.pod.full_sandbox_id", Type.STRING, "The sandbox's id."),
            ("k8s.pod.sandbox_id", Type.STRING, "The sandbox's short id."),
            ("k8s.pod.ip", Type.STRING, "The pod's address."),
            ("k8s.pod.labels", Type.STRING, "The pod's labels."),
            ("k8s.svc.name", Type.STRING, "A Service of the pod."),
            ("k8s.rc.name", Type.STRING, "The ReplicationController that owns the pod."),
        ],
    ),
)
