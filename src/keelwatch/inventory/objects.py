"""What is kept of an object of the API server: what identifies it, owns it, runs in it. Nothing else.

A cluster has 100,000 pods, so the records are slim: slots, tuples, and text that repeats is one
string. Labels are written by people, so they are bounded, and what is cut is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class OwnerRef:
    """The object that manages this one (`controller: true` where several are named).

    `group` is the kind's API group, "" for the core: others have a Job, too.
    """

    kind: str
    name: str
    uid: str
    group: str = ""

    @property
    def is_node(self) -> bool:
        """Whether it is the node itself: the kubelet's mirror of a static pod says so."""
        return (self.group, self.kind) == ("", "Node")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod as its status tells. Times are nanoseconds since the epoch, 0 if unknown.

    `role` is "" for a usual one, else "init" or "ephemeral"; `previous_*` is the run before this one.
    """

    name: str
    image: str = ""
    role: str = ""
    image_digest: str = ""
    container_id: str = ""
    restart: int = 0
    state: str = ""  # "waiting" | "running" | "terminated" | ""
    started: int = 0
    finished: int = 0
    reason: str = ""
    exit_code: int = 0
    previous_id: str = ""
    previous_started: int = 0
    previous_finished: int = 0
    previous_reason: str = ""
    previous_exit_code: int = 0


@dataclass(frozen=True, slots=True)
class KubeObject:
    """One version of an object. Two are equal when nothing that matters differs.

    `phase` is a pod's phase, or a node's readiness ("Ready", "NotReady"). `revision` is what the
    labels call it (a pod's template hash), or the revision a workload is at; `rolled` is the last
    one that a workload's controller has finished to roll out.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str = field(default="", compare=False)
    created: int = 0
    labels: Pairs = ()
    labels_cut: int = 0
    owner: OwnerRef | None = None
    node: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    revision: str = ""
    rolled: str = ""
    team_mark: str = ""  # the value of the annotation that names the team
    containers: tuple[Container, ...] = ()
    detail: Pairs = ()  # a node's system and versions, a pod's runtime class
    scheduled: int = 0
    started: int = 0

    def label(self, key: str) -> str:
        """The label's value, or ""."""
        return next((value for name, value in self.labels if name == key), "")
