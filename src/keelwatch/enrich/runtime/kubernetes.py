"""The labels that a kubelet writes on containers, whichever runtime keeps them.

Pods' own labels and annotations are written by people. So they are only collected; what identifies a
container is taken from where the kubelet or the runtime alone write.
"""

from __future__ import annotations

from typing import Any

from keelwatch.enrich.runtime.details import Draft

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"


def take_pod(draft: Draft, source: str, labels: Any) -> None:
    """Merge a container's labels, and read the pod out of them: a kubelet sets those last."""
    draft.add(source, "labels", labels)
    known = draft.values.get("labels", {})
    draft.put(source, pod=known.get(POD_NAME), namespace=known.get(POD_NAMESPACE), pod_uid=known.get(POD_UID))
