"""Which containers there are: from a container id, or a file's superblock, to an identity.

Asks the runtimes at a container's first event and again until the answer is complete; says when a
container started and ended, so that lifecycle records and log followers can be made.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from keelwatch.enrich import procfs
from keelwatch.enrich.layers import Layers
from keelwatch.enrich.pod_identities import PodCache
from keelwatch.enrich.runtime import ContainerDetails, Runtimes, identity_of
from keelwatch.kit import clock
from keelwatch.kit.lru import LRU
from keelwatch.model.identity import Identity

RETRY = (0.1, 0.3, 1.0, 3.0, 10.0, 60.0)
"""Seconds until an incomplete container is asked for again; the last one repeats."""
PATIENCE = 4
"""Tries after which a container is announced with what is known of it."""
SECOND = 1_000_000_000
LINGER = 300 * SECOND
"""How long an ended container stays known: events of it may still be on their way."""
MAX_PAST = 20_000
"""Ended containers remembered by id only, since runtimes go on listing them for as long as they like."""


@dataclass(slots=True)
class Container:
    """What is known of one container. `identity` is complete when `details.complete` is.

    `ended` is when it did, by the runtime or else as noticed; `forget` is when it may be forgotten.
    """

    id: str
    identity: Identity
    details: ContainerDetails | None = None
    pid: int = 0
    first_seen: int = 0
    ended: int = 0
    forget: int = 0
    tries: int = 0
    next_try: int = 0
    announced: bool = False
    renewed: bool = False  # its identity became another one by what the API server told

    @property
    def layers(self) -> Layers:
        """Where its overlay keeps files."""
        if self.details is None:
            return Layers()
        return Layers(self.details.upper_dir, self.details.lower_dirs)

    @property
    def complete(self) -> bool:
        """Whether the runtime has told everything it can tell."""
        return self.details is not None and self.details.complete

    @property
    def exited(self) -> bool:
        """Whether the runtime itself says that it ended."""
        return self.details is not None and self.details.state == "exited"


@dataclass(slots=True)
class Changes:
    """What `poll` noticed: containers that became known, whose identity grew, that ended.

    `completed` had ended before the API server told of their pods.
    """

    started: list[Container] = field(default_factory=list)
    updated: list[Container] = field(default_factory=list)
    ended: list[Container] = field(default_factory=list)
    completed: list[Container] = field(default_factory=list)


class Catalog:
    """Thread-safe: the pipeline asks, housekeeping polls. `changed` is set by a new container."""

    def __init__(self, runtimes: Runtimes, cluster: str, node: str, pods: PodCache | None = None) -> None:
        self._runtimes = runtimes
        self._pods = pods or PodCache()
        self._lock = threading.RLock()
        self._containers: dict[str, Container] = {}
        self._owners: dict[int, str] = {}
        self._past = LRU[str, None](MAX_PAST)
        self.changed = threading.Event()
        self.host = Identity(cluster=cluster, node=node, identity_source="cluster=config node=config")

    def scan(self) -> None:
        """Learn every container that the runtimes know now and that is not known completely yet."""
        with self._lock:
            known = {at.id for at in self._containers.values() if at.complete and not at.ended}
            ended = {at.id for at in self._containers.values() if at.ended} | self._past.keys()
        for details in self._runtimes.scan(skip=known, ended=ended):
            if details.state == "created" and not details.pid:
                continue  # it may never be started
            with self._lock:
                self._found(details)

    def container(self, container_id: str, pid: int = 0) -> Container | None:
        """The container with this id, looked up at the runtime when it is new; None for the host."""
        if not container_id:
            return None
        with self._lock:
            at = self._containers.get(container_id)
            if at is None or (at.ended and self._runs_again(at)):
                at = self._add(container_id, pid)
                self._ask(at)
                if container_id in self._past and not self._runtimes.running(container_id):
                    at.announced = True  # a late event of a container whose end was told long ago
                    self._end(at, clock.now())
            return at

    def identity(self, container_id: str, pid: int = 0) -> Identity:
        """The identity of the container, or the node's own for ""."""
        at = self.container(container_id, pid)
        return at.identity if at is not None else self.host

    def known_identity(self, container_id: str) -> Identity | None:
        """The identity as far as it is known; nobody is asked."""
        at = self._containers.get(container_id)
        return at.identity if at is not None else None

    def waits(self, at: Container, bound: float) -> float:
        """Seconds that are worth waiting for the API server's word on a container, of `bound`."""
        return self._pods.waits(at.identity, bound)

    def refresh(self, pod_uids: set[str]) -> None:
        """The API server told of these pods: complete or correct their containers' identities."""
        with self._lock:
            for at in self._containers.values():
                if at.details is None or not self._pods.concerns(at.identity, pod_uids):
                    continue
                fresh = self._identity_of(at.details)
                at.renewed = at.renewed or fresh != at.identity
                at.identity = fresh
        self.changed.set()

    def learn_device(self, device: int, container_id: str) -> None:
        """Remember whose overlay superblock this is; the first to run a program from it owns it.

        The kernel gives a device number that became free to the next mount, so an owner that ended
        owns nothing any more.
        """
        if not device or not container_id:
            return
        with self._lock:
            owner = self._containers.get(self._owners.get(device, ""))
            if owner is None or owner.id == container_id or self._has_ended(owner):
                self._owners[device] = container_id

    def owner_of(self, device: int) -> str:
        """The id of the container whose root file system `device` is, or ""."""
        return self._owners.get(device, "")

    def poll(self) -> Changes:
        """Ask again for what is incomplete, notice what ended, forget what ended long ago."""
        changes = Changes()
        now = clock.now()
        with self._lock:
            for at in list(self._containers.values()):
                self._poll_one(at, now, changes)
        return changes

    def incomplete(self) -> bool:
        """Whether some container's runtime has not told everything yet."""
        return any(not at.complete and not at.ended for at in list(self._containers.values()))

    def running(self) -> int:
        """How many containers run now."""
        return sum(1 for at in list(self._containers.values()) if not at.ended)

    def _poll_one(self, at: Container, now: int, changes: Changes) -> None:
        if at.ended:
            if at.renewed and at.announced:
                at.renewed = False
                changes.completed.append(at)
            if now > at.forget:
                del self._containers[at.id]
            return
        has_ended = self._has_ended(at)
        # The last chance to learn where a short-lived container's log is.
        due = has_ended or now >= at.next_try
        grew = not at.complete and due and self._ask(at)
        if not at.announced and (at.complete or has_ended or at.tries > PATIENCE):
            at.announced, at.renewed = True, False
            changes.started.append(at)
        elif grew or (at.renewed and at.announced):
            at.renewed = False
            changes.updated.append(at)
        if has_ended:
            self._end(at, now)
            changes.ended.append(at)

    def _found(self, details: ContainerDetails) -> None:
        """Take in what a scan told."""
        at = self._containers.get(details.id)
        if at is None or at.ended:
            at = self._add(details.id, details.pid)
            if details.state == "exited":
                at.first_seen = details.created or at.first_seen
        self._fill(at, details)

    def _end(self, at: Container, now: int) -> None:
        told = at.details.ended if at.details is not None and at.exited else 0
        at.ended, at.forget = told or now, now + LINGER
        self._past[at.id] = None
        self._disown(at)

    def _runs_again(self, at: Container) -> bool:
        """Whether an ended container was started anew: Docker and Podman keep the id then."""
        now = clock.now()
        if now < at.next_try:
            return False
        at.next_try = now + SECOND
        return self._runtimes.running(at.id)

    def _has_ended(self, at: Container) -> bool:
        pid = at.details.pid if at.details and at.details.pid else at.pid
        if not at.exited and (procfs.alive(pid) if pid > 0 else at.tries <= PATIENCE):
            return False
        return not self._runtimes.running(at.id)

    def _add(self, container_id: str, pid: int) -> Container:
        identity = Identity(
            cluster=self.host.cluster,
            node=self.host.node,
            container_id=container_id,
            identity_source="cluster=config node=config container_id=cgroup",
        )
        at = Container(container_id, identity, pid=pid, first_seen=clock.now())
        self._containers[container_id] = at
        self.changed.set()
        return at

    def _ask(self, at: Container) -> bool:
        """Ask the runtimes; return whether the identity changed."""
        at.next_try = clock.now() + int(RETRY[min(at.tries, len(RETRY) - 1)] * SECOND)
        at.tries += 1
        details = self._runtimes.find(at.id, at.pid)
        return details is not None and self._fill(at, details)

    def _fill(self, at: Container, details: ContainerDetails) -> bool:
        before = at.identity
        at.details = details
        at.identity = self._identity_of(details)
        if details.root_device:
            self._owners[details.root_device] = at.id  # the mount table says so
        return at.identity != before

    def _identity_of(self, details: ContainerDetails) -> Identity:
        return self._pods.complete(identity_of(details, self.host.cluster, self.host.node))

    def _disown(self, at: Container) -> None:
        for device in [d for d, owner in self._owners.items() if owner == at.id]:
            del self._owners[device]
