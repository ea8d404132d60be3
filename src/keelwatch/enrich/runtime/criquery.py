"""Asks a runtime over CRI: one container's details, and the list of all it knows."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keelwatch.enrich.runtime import cri_pb2
from keelwatch.enrich.runtime.cri import SILENT, Cri, CriError
from keelwatch.enrich.runtime.details import Draft
from keelwatch.enrich.runtime.kubernetes import take_pod
from keelwatch.enrich.runtime.statefiles import u32

PATIENT = 5.0
"""Seconds for a call that no event waits for."""
PAUSE = 1.0
"""Seconds for which a socket that did not answer is left alone, so that it can't stall every event."""
MAX_CACHED = 4096
STATES = {
    cri_pb2.CONTAINER_CREATED: "created",
    cri_pb2.CONTAINER_RUNNING: "running",
    cri_pb2.CONTAINER_EXITED: "exited",
}


@dataclass
class Endpoint:
    """A socket that answered or may answer; `sandboxes` and `digests` never change, so are kept."""

    cri: Cri
    silent_until: float = 0.0
    sandboxes: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    digests: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def call(self, method: str, end: float, /, **fields: Any) -> Any:
        """Call the runtime; give up at `end` on the monotonic clock."""
        return self.cri.call(method, max(0.001, end - time.monotonic()), **fields)


class CriQuery:
    """All CRI sockets of the machine, by the identity of the socket file."""

    def __init__(self) -> None:
        self._endpoints: dict[tuple[int, int], Endpoint] = {}
        self._lock = threading.Lock()

    def container(self, socket: Path, draft: Draft, end: float) -> bool:
        """Add what CRI says of `draft`'s container; return whether it said all."""
        endpoint = self._endpoint(socket)
        if endpoint is None or time.monotonic() < endpoint.silent_until:
            return False
        try:
            status = endpoint.call("ContainerStatus", end, container_id=draft.get("id")).status
            _take_status(draft, status)
            self._take_digest(endpoint, draft, status, end)
            self._find_sandbox(endpoint, draft, end)
            return self._take_sandbox(endpoint, draft, draft.get("sandbox_id"), end)
        except CriError as error:
            _note_silence(endpoint, error)
            return False

    def sandbox(self, socket: Path, draft: Draft, end: float) -> bool:
        """Add what CRI says of `draft`'s sandbox; return whether it said all."""
        endpoint = self._endpoint(socket)
        if endpoint is None or time.monotonic() < endpoint.silent_until:
            return False
        try:
            return self._take_sandbox(endpoint, draft, draft.get("id"), end)
        except CriError as error:
            _note_silence(endpoint, error)
            return False

    def plain(self, socket: Path, namespace: str, draft: Draft, end: float) -> bool:
        """Add what containerd itself says of a container without CRI; return whether it said all."""
        endpoint = self._endpoint(socket)
        if endpoint is None or time.monotonic() < endpoint.silent_until:
            return False
        try:
            left = max(0.001, end - time.monotonic())
            container = endpoint.cri.containerd_get(
                "Container", namespace, left, id=draft.get("id")
            ).container
            draft.add("cri", "labels", container.labels)
            draft.put("cri", image=container.image)  # not the name: labels may be the image's
            if container.image:
                image = endpoint.cri.containerd_get("Image", namespace, left, name=container.image).image
                draft.put("cri", image_digest=image.target.digest)
        except CriError as error:
            _note_silence(endpoint, error)
            return error.code == "NOT_FOUND" and bool(draft.get("image"))  # the image was removed since
        return True

    def ids(self, socket: Path) -> tuple[list[str], list[str]]:
        """The ids of all containers, and of all sandboxes, that the runtime still remembers."""
        endpoint = self._endpoint(socket)
        if endpoint is None:
            return [], []
        try:
            containers = endpoint.cri.call("ListContainers", PATIENT).containers
            sandboxes = endpoint.cri.call("ListPodSandbox", PATIENT).items
        except CriError:
            return [], []
        return [item.id for item in containers], [item.id for item in sandboxes]

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for endpoint in self._endpoints.values():
                endpoint.cri.close()
            self._endpoints.clear()

    def _endpoint(self, socket: Path) -> Endpoint | None:
        try:
            about = os.stat(socket)  # noqa: PTH116  # twice as fast as Path.stat on the way of an event
        except OSError:
            return None
        key = (about.st_dev, about.st_ino)
        with self._lock:
            endpoint = self._endpoints.get(key)
            # The path leads through /proc/<pid>/root of a shim that may have ended since.
            if endpoint is None or not Path(endpoint.cri.socket).exists():
                self._forget_dead()
                endpoint = self._endpoints[key] = Endpoint(Cri(socket))
            return endpoint

    def _forget_dead(self) -> None:
        for key, endpoint in list(self._endpoints.items()):
            if not Path(endpoint.cri.socket).exists():
                self._endpoints.pop(key).cri.close()

    def _find_sandbox(self, endpoint: Endpoint, draft: Draft, end: float) -> None:
        # ContainerStatus leaves out which sandbox it is; the bundle has it, but not of an ended one.
        if draft.get("sandbox_id"):
            return
        found = endpoint.call("ListContainers", end, filter={"id": draft.get("id")}).containers
        if found:
            draft.put("cri", sandbox_id=found[0].pod_sandbox_id)

    def _take_sandbox(self, endpoint: Endpoint, draft: Draft, sandbox_id: str, end: float) -> bool:
        if not sandbox_id:
            return False
        status = endpoint.sandboxes.get(sandbox_id)
        if status is None:
            status = endpoint.call("PodSandboxStatus", end, pod_sandbox_id=sandbox_id).status
            _remember(endpoint.sandboxes, sandbox_id, status)
        draft.put("cri", pod=status.metadata.name, namespace=status.metadata.namespace)
        draft.put("cri", pod_uid=status.metadata.uid, sandbox_id=sandbox_id)
        draft.put("cri", runtime_handler=status.runtime_handler)
        if draft.get("kind") == "sandbox":
            draft.put("cri", created=status.created_at)
        draft.add("cri", "labels", {**status.labels, **draft.values.get("labels", {})})
        draft.add("cri", "annotations", {**status.annotations, **draft.values.get("annotations", {})})
        return True

    def _take_digest(self, endpoint: Endpoint, draft: Draft, status: Any, end: float) -> None:
        """Prefer the manifest's digest; the image's id stands in for images that were never pulled."""
        reference = status.image_ref
        digest = reference.partition("@")[2] or endpoint.digests.get(reference, "")
        if not digest:
            image = endpoint.call("ImageStatus", end, image={"image": reference}).image
            known = [entry.partition("@")[2] for entry in image.repo_digests]
            digest = next((entry for entry in known if entry), image.id or reference)
            _remember(endpoint.digests, reference, digest)
        draft.put("cri", image_digest=digest)


def _take_status(draft: Draft, status: Any) -> None:
    draft.put("cri", name=status.metadata.name, created=status.created_at, ended=status.finished_at)
    draft.put("cri", state=STATES.get(status.state, ""))
    if status.log_path:
        draft.put("cri", log_path=status.log_path, log_format="cri")
    names = (status.image.user_specified_image, draft.get("image"), status.image.image)
    draft.put("cri", image=next((name for name in names if name and not name.startswith("sha256:")), ""))
    take_pod(draft, "cri", status.labels)
    draft.add("cri", "annotations", status.annotations)
    # The kubelet counts restarts here; annotations of that name may be the pod's own.
    draft.values["restart"], draft.sources["restart"] = u32(status.metadata.attempt), "cri"


def _remember(cache: OrderedDict[str, Any], key: str, value: Any) -> None:
    cache[key] = value
    if len(cache) > MAX_CACHED:
        cache.popitem(last=False)


def _note_silence(endpoint: Endpoint, error: CriError) -> None:
    if error.code in SILENT:
        endpoint.silent_until = time.monotonic() + PAUSE
