"""The labels and annotations that every kubelet writes, whichever runtime keeps them."""

from __future__ import annotations

from typing import Any

from keelwatch.enrich.runtime.details import Draft
from keelwatch.enrich.runtime.statefiles import number

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
RESTART_COUNT = "io.kubernetes.container.restartCount"


def take_labels(draft: Draft, source: str, labels: Any) -> None:
    """Merge the labels, and read pod and container name out of them."""
    draft.add(source, "labels", labels)
    known = draft.values.get("labels", {})
    draft.put(
        source,
        pod=known.get(POD_NAME),
        namespace=known.get(POD_NAMESPACE),
        pod_uid=known.get(POD_UID),
        name=known.get(CONTAINER_NAME),
    )


def take_annotations(draft: Draft, source: str, annotations: Any) -> None:
    """Merge the annotations, and read the restart count out of them."""
    draft.add(source, "annotations", annotations)
    restart = draft.values.get("annotations", {}).get(RESTART_COUNT)
    if restart is not None:
        draft.values["restart"] = max(0, number(restart))
        draft.sources["restart"] = source
