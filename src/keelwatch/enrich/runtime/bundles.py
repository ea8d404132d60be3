"""Reads a container's OCI bundle: config.json as containerd, CRI-O and Podman annotate it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keelwatch.enrich.runtime.details import Draft, text_pairs
from keelwatch.enrich.runtime.kubernetes import CONTAINER_NAME, take_pod
from keelwatch.enrich.runtime.rootfs import Root, root_at, root_of
from keelwatch.enrich.runtime.statefiles import (
    json_object,
    nanoseconds,
    number,
    read_json,
    read_text,
    table,
    text,
    u32,
)

CRI = "io.kubernetes.cri."
CRIO = "io.kubernetes.cri-o."
NERDCTL = "nerdctl/"


MAX_VOLUMES = 256


def read_config(draft: Draft, bundle: Path) -> dict[str, Any]:
    """Take what config.json says into `draft`; return it, {} when there is none (yet)."""
    config = read_json(bundle / "config.json")
    annotations = text_pairs(config.get("annotations"))
    # Below containerd the annotations may be the pod's own: they cannot say which runtime it is.
    below_conmon = draft.get("runtime") != "containerd"
    if below_conmon and annotations.get("io.container.manager") == "libpod":
        _take_podman(draft, annotations)
    elif below_conmon and f"{CRIO}ContainerType" in annotations:
        _take_crio(draft, annotations)
    elif f"{CRI}container-type" in annotations:
        _take_containerd(draft, annotations)
    else:
        _take_plain(draft, annotations)
    draft.put("runtime", volumes=_volumes(config.get("mounts")))
    return config


def _volumes(mounts: object) -> tuple[str, ...]:
    """The mount points of what comes from outside the container, as far as they are absolute paths."""
    binds = (
        one for one in (mounts if isinstance(mounts, list) else [])[:MAX_VOLUMES] if isinstance(one, dict)
    )
    found = (text(one, "destination").rstrip("/") for one in binds if one.get("type") == "bind")
    return tuple(path for path in found if path.startswith("/"))


def take_root(draft: Draft, config: dict[str, Any], bundle: str, holder: int, proc: Path) -> None:
    """Find the root file system through the mount table of the process that holds the container."""
    path = text(table(config, "root"), "path")
    place = str(Path(bundle) / path) if path else ""
    root = root_at(place, holder, proc) if path else Root()
    if path and not root.device:  # a data root behind a symbolic link
        root = root_at(os.path.realpath(place), holder, proc)
    if not root.device and draft.get("pid"):
        root = root_of(draft.get("pid"), proc)
    draft.put("runtime", root_device=root.device, upper_dir=root.upper, lower_dirs=root.lower)


def take_storage(draft: Draft, config: dict[str, Any], folder: Path) -> None:
    """What containers/storage, below CRI-O and Podman, wrote down of what it keeps in `folder`."""
    containers = folder.parent.parent
    image = text_pairs(config.get("annotations")).get(f"{CRIO}ImageRef", "")
    for entry in _listed(containers / "containers.json"):
        if entry.get("id") == draft.get("id"):
            name = text(json_object(text(entry, "metadata")), "image-name")
            draft.put(
                "runtime", image=draft.get("image") or name, created=nanoseconds(text(entry, "created"))
            )
            image = text(entry, "image")
    if not draft.get("image_digest"):
        images = containers.with_name(containers.name.replace("-containers", "-images"))
        draft.put("runtime", image_digest=_digest_of(image, images))


def _digest_of(image: str, images: Path) -> str:
    """The digest of the manifest that an image, known by its id, was pulled by."""
    listed = _listed(images / "images.json")
    return next((text(entry, "digest") for entry in listed if image and entry.get("id") == image), "")


def _listed(path: Path) -> Iterator[dict[str, Any]]:
    entries = json_object(f'{{"listed": {read_text(path) or "[]"}}}').get("listed")
    return (entry for entry in (entries if isinstance(entries, list) else []) if isinstance(entry, dict))


def take_crio_sandbox(draft: Draft, bundle: Path) -> None:
    """The pod's labels, annotations and handler, which CRI-O keeps beside `bundle`, with the sandbox."""
    sandbox = draft.get("sandbox_id")
    if draft.get("runtime") != "cri-o" or not sandbox or "/" in sandbox:
        return
    config = read_json(bundle.parent.with_name(sandbox) / bundle.name / "config.json")
    annotations = text_pairs(config.get("annotations"))
    draft.put("runtime", runtime_handler=annotations.get(f"{CRIO}RuntimeHandler", ""))
    draft.add("runtime", "annotations", json_object(annotations.get(f"{CRIO}Annotations", "")))
    labels = json_object(annotations.get(f"{CRIO}Labels", ""))
    take_pod(draft, "runtime", {key: value for key, value in labels.items() if key != CONTAINER_NAME})


def first_process(pid_file: Path) -> int:
    """The first process's id, once the runtime has written it down."""
    return number(read_text(pid_file, 64))


def _take_containerd(draft: Draft, annotations: dict[str, str]) -> None:
    def of(key: str) -> str:
        return annotations.get(CRI + key, "")

    is_sandbox = of("container-type") == "sandbox"
    draft.put("runtime", kind="sandbox" if is_sandbox else "container", name=of("container-name"))
    draft.put("runtime", pod=of("sandbox-name"), namespace=of("sandbox-namespace"), pod_uid=of("sandbox-uid"))
    draft.put("runtime", sandbox_id=of("sandbox-id"), image=of("image-name"))


def _take_crio(draft: Draft, annotations: dict[str, str]) -> None:
    def of(key: str) -> str:
        return annotations.get(CRIO + key, "")

    is_sandbox = of("ContainerType") == "sandbox"
    image = of("ImageName") or of("Image")
    draft.put("runtime", runtime="cri-o", kind="sandbox" if is_sandbox else "container")
    draft.put("runtime", sandbox_id=of("SandboxID"), image=image, image_digest=_digest(of("ImageRef")))
    draft.put("runtime", created=nanoseconds(of("Created")))
    if not is_sandbox and of("LogPath"):
        draft.put("runtime", log_path=of("LogPath"), log_format="cri")
    draft.add("runtime", "annotations", json_object(of("Annotations")))
    take_pod(draft, "runtime", json_object(of("Labels")))
    draft.put("runtime", namespace=of("Namespace"))
    if is_sandbox:
        draft.put("runtime", pod=of("KubeName"))
    else:
        _take_crio_container(draft, json_object(of("Metadata")), json_object(of("Labels")))
    repo_digests = [_digest(entry) for entry in of("ImageRepoDigests").strip("[]").split(",")]
    draft.put("runtime", image_digest=next((digest for digest in repo_digests if digest), ""))


def _take_crio_container(draft: Draft, metadata: dict[str, Any], labels: dict[str, Any]) -> None:
    draft.put("runtime", name=text(metadata, "name") or text(labels, CONTAINER_NAME))
    draft.put("runtime", restart=u32(metadata.get("attempt")))


def _take_podman(draft: Draft, annotations: dict[str, str]) -> None:
    draft.put("runtime", runtime="podman", sandbox_id=annotations.get("io.podman.annotations.pod", ""))
    draft.add("runtime", "annotations", annotations)


def _take_plain(draft: Draft, annotations: dict[str, str]) -> None:
    draft.add("runtime", "annotations", annotations)
    draft.put("runtime", name=annotations.get(f"{NERDCTL}name", ""))
    folder = annotations.get(f"{NERDCTL}state-dir", "")
    if folder:
        log = f"{folder}/{draft.get('id')}-json.log"
        draft.put("runtime", log_path=log, log_format="json-file")


def _digest(reference: str) -> str:
    return reference.strip().strip('"').partition("@")[2]
