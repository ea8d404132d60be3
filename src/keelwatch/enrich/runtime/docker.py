"""What Docker keeps on disk: <data root>/containers/<id>/config.v2.json and hostconfig.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from keelwatch.enrich.runtime.details import Draft
from keelwatch.enrich.runtime.kubernetes import CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID
from keelwatch.enrich.runtime.statefiles import nanoseconds, number, read_json, table, text, u32

SANDBOX_TYPE = "io.kubernetes.docker.type"  # written by cri-dockerd: "podsandbox" or "container"
SANDBOX_ID = "io.kubernetes.sandbox.id"
ANNOTATION = "annotation."
SANDBOX_NAME = "POD"
_KUBERNETES_NAME = re.compile(r"/k8s_([^_]+)_([^_]+)_([^_]+)_([^_]*)_(\d{1,10})(?:_[^_]+)?")
"""cri-dockerd's names: container, pod, namespace, uid, attempt, and a random part after a clash."""


def containers(data_root: Path) -> list[str]:
    """The ids of all containers that this Docker remembers, ended ones included."""
    try:
        return [path.name for path in (data_root / "containers").iterdir()]
    except OSError:
        return []


def read_container(draft: Draft, data_root: Path, place: str = "") -> bool:
    """Take what Docker wrote down; return whether that is all there will be.

    `data_root` is where we see its folder, `place` what Docker itself calls it.
    It writes the file when the container is created, and again, with the log's path, when it has started.
    """
    folder = data_root / "containers" / draft.get("id")
    config = read_json(folder / "config.v2.json")
    if not config:
        return False
    state, made_of = table(config, "State"), table(config, "Config")
    draft.values["runtime"] = "docker"
    draft.put("runtime", name=text(config, "Name").lstrip("/"), image=text(made_of, "Image"))
    draft.put("runtime", image_digest=text(config, "Image"), restart=u32(config.get("RestartCount")))
    draft.put("runtime", created=nanoseconds(text(config, "Created")), state=_state(state))
    draft.put("runtime", pid=number(state.get("Pid")), ended=nanoseconds(text(state, "FinishedAt")))
    _take_log(draft, config, read_json(folder / "hostconfig.json"), Path(place or data_root))
    labels = table(made_of, "Labels")
    if made_by := _kubernetes_name(text(config, "Name"), labels):
        _take_kubernetes(draft, labels, made_by)
    else:
        draft.add("runtime", "labels", labels)
    return bool(draft.get("state") != "created")


def _state(state: dict[str, Any]) -> str:
    if state.get("Running"):
        return "running"
    return "exited" if nanoseconds(text(state, "FinishedAt")) else "created"


def _take_log(draft: Draft, config: dict[str, Any], host: dict[str, Any], place: Path) -> None:
    # Only json-file is a format that others may read; `local` is private, the rest are not files.
    if text(table(host, "LogConfig"), "Type") != "json-file":
        return
    # Made, not believed: a path from a file must not lead to any other file of the node.
    own = Path("containers", draft.get("id"), f"{draft.get('id')}-json.log")
    if Path(text(config, "LogPath")).parts[-3:] == own.parts:
        draft.put("runtime", log_path=str(place / own), log_format="json-file")


def _kubernetes_name(name: str, labels: dict[str, Any]) -> re.Match[str] | None:
    """The parts of a name that cri-dockerd gave; None when the labels say anything else.

    Labels also come from images, whose makers could put their containers into any namespace.
    """
    found = _KUBERNETES_NAME.fullmatch(name)
    if found is None:
        return None
    container, pod, namespace, uid, _ = found.groups()
    is_sandbox = labels.get(SANDBOX_TYPE) == "podsandbox"
    named = container == SANDBOX_NAME if is_sandbox else container == labels.get(CONTAINER_NAME)
    told = (labels.get(POD_NAME), labels.get(POD_NAMESPACE), labels.get(POD_UID, ""))
    return found if named and told == (pod, namespace, uid) else None


def _take_kubernetes(draft: Draft, labels: dict[str, Any], made_by: re.Match[str]) -> None:
    container, pod, namespace, uid, attempt = made_by.groups()
    own = {key: value for key, value in labels.items() if not key.startswith(ANNOTATION)}
    marked = {key.removeprefix(ANNOTATION): labels[key] for key in labels.keys() - own.keys()}
    draft.add("runtime", "labels", own)
    draft.add("runtime", "annotations", marked)
    draft.put("runtime", pod=pod, namespace=namespace, pod_uid=uid, name=container)
    if labels.get(SANDBOX_TYPE) == "podsandbox":
        draft.put("runtime", kind="sandbox", sandbox_id=draft.get("id"))
        draft.values["name"] = ""
    else:
        draft.values["restart"], draft.sources["restart"] = u32(attempt), "runtime"
        draft.put("runtime", sandbox_id=text(labels, SANDBOX_ID))
