"""What is known of one container, and where each piece of it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT = 4096
MAX_LABELS = 512
"""Labels and annotations are written by people: what is longer or more is cut."""


@dataclass(frozen=True, slots=True)
class ContainerDetails:
    """One container as its runtime describes it. Times are nanoseconds since the epoch.

    `sources` maps a field's name to `runtime` (state on disk) or `cri` (the socket). While
    `complete` is False the runtime had not told everything yet, and asking again may tell more.
    """

    id: str
    runtime: str = ""  # "containerd" | "cri-o" | "docker" | "podman"
    runtime_handler: str = ""  # what the runtime runs the pod with, "" for its default
    kind: str = "container"  # or "sandbox", the process that holds a pod's namespaces
    name: str = ""
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    restart: int = 0
    image: str = ""
    image_digest: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # the sandbox's and the container's own
    annotations: Mapping[str, str] = field(default_factory=dict)
    sandbox_id: str = ""
    log_path: str = ""
    log_format: str = ""  # "cri" | "json-file" | "" when its log is not a file that we read
    root_device: int = 0  # st_dev of the root file system's superblock
    upper_dir: str = ""
    lower_dirs: tuple[str, ...] = ()  # topmost first
    volumes: tuple[str, ...] = ()  # where folders and files from outside are mounted in it
    pid: int = 0  # of the first process, as the node counts
    created: int = 0
    ended: int = 0
    state: str = ""  # "created" | "running" | "exited" | ""
    complete: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)


class Draft:
    """Collects fields from several sources; a later source replaces what an earlier one said."""

    def __init__(self, container_id: str, runtime: str = "") -> None:
        self.values: dict[str, Any] = {"id": container_id, "runtime": runtime}
        self.sources: dict[str, str] = {}
        self.complete = False

    def put(self, source: str, **fields: Any) -> None:
        """Take the fields that say something (not "", 0 or None)."""
        for name, value in fields.items():
            if value:
                self.values[name] = value[:MAX_TEXT] if isinstance(value, str) else value
                self.sources[name] = source

    def add(self, source: str, field_name: str, pairs: object) -> None:
        """Merge `pairs` into `labels` or `annotations`."""
        known = dict(self.values.get(field_name, {}))
        known.update(text_pairs(pairs))
        self.put(source, **{field_name: dict(list(known.items())[:MAX_LABELS])})

    def get(self, name: str) -> Any:
        """The field's value so far, or ""."""
        return self.values.get(name, "")

    def finish(self) -> ContainerDetails:
        """The details as they are known now."""
        return ContainerDetails(**self.values, complete=self.complete, sources=dict(self.sources))


def text_pairs(value: object) -> dict[str, str]:
    """The string-to-string pairs of a JSON object or protobuf map; anything else in it is left out."""
    if not isinstance(value, Mapping):
        return {}
    pairs = ((key, text) for key, text in value.items() if isinstance(key, str) and isinstance(text, str))
    return {key[:MAX_TEXT]: text[:MAX_TEXT] for key, text in pairs}
