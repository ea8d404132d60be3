"""What coverage is reckoned from, as values: nodes, who watched them, containers, losses.

All times are nanoseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from keelwatch.evidence.causes import Kind
from keelwatch.evidence.intervals import NOTHING, Intervals

NodeKey = tuple[str, str]
"""Cluster and name."""


PATIENCE = 120_000_000_000
"""How long an agent may be silent before what it should have seen counts as missing. It says that it is
there every 30 seconds, and comes back to a hub that was away within a minute."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that were lost, as agent or hub counted them: of a container, a pod, or else a whole node."""

    kind: Kind
    cause: str
    begin: int
    end: int
    amount: int = 0
    unit: str = ""
    container_id: str = ""
    detail: str = ""
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    container: str = ""

    @property
    def of_pod(self) -> bool:
        """Whether a pod is all that it names."""
        return not self.container_id and bool(self.pod_uid or self.pod)


@dataclass(frozen=True, slots=True)
class Watch:
    """The agents of one node together.

    `up` is when one ran, between the `first` start and the `last` sign of life; `stopped`: that sign
    was the agent saying that it stops. `logs` is the part of `up` in which logs were read.
    """

    first: int
    last: int
    up: Intervals
    stopped: bool = False
    sensor_off: Intervals = NOTHING
    blind: str = ""  # why the sensor is off, as the agent said
    logs: Intervals = NOTHING
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CutOff:
    """A stretch in which a node's agent ran, and the hub, too, but did not hear of it."""

    node: NodeKey
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `listed`: the API server knows it; `system` is its kubernetes.io/os."""

    cluster: str
    name: str
    listed: bool = False
    system: str = ""
    phase: str = ""
    gone: int = 0
    watch: Watch | None = None
    losses: tuple[Loss, ...] = ()

    @property
    def key(self) -> NodeKey:
        """Cluster and name."""
        return self.cluster, self.name


@dataclass(slots=True)
class Container:
    """A container and when it ran. `taken` is when agents took it up, with how many files its log had."""

    container_id: str
    cluster: str = ""
    node: str = ""
    namespace: str = ""
    workload_kind: str = ""
    workload: str = ""
    team: str = ""
    pod: str = ""
    pod_uid: str = ""  # as the agent knows it: of a static pod the API server knows another one
    container: str = ""
    image: str = ""
    runtime: str = ""  # its runtime class and handler, as far as they are named, with a "/" between
    known_by: str = ""  # "kubernetes", "agent" or both, joined by "+"
    runs: Intervals = NOTHING
    taken: tuple[tuple[int, int], ...] = ()
    has_log: bool = True
