"""From a container id to its details, on any machine: the front of this package.

The way to a container's details starts at one of its processes: among its ancestors is the shim or
monitor whose command line names the bundle and the runtime's socket. When the process is gone
already, every shim, monitor and daemon that runs is tried.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from keelwatch.enrich.runtime import bundles, cgroups, docker, holders
from keelwatch.enrich.runtime.criquery import PATIENT, CriQuery
from keelwatch.enrich.runtime.details import ContainerDetails, Draft
from keelwatch.enrich.runtime.holders import Conmon, Daemon, Holder, Shim

REST = 10
"""After a walk through /proc the next one waits this many times as long as it took."""
BOUND = 0.3
"""Seconds that a look-up takes at most, since an event waits for it."""
DOCKER_NAMESPACE = "moby"
KUBERNETES_NAMESPACE = "k8s.io"
PODMAN_LOG = "k8s-file:"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Runtimes:
    """Thread-safe. `proc` and `cgroup_root` are other folders in tests only."""

    def __init__(self, proc: Path = holders.PROC, cgroup_root: Path = cgroups.CGROUPS) -> None:
        self._proc = proc
        self._cgroup_root = cgroup_root
        self._cri = CriQuery()
        self._lock = threading.Lock()
        self._known: list[Holder] = []
        self._next_refresh = 0.0
        self._cgroups: dict[str, Path] = {}

    def find(self, container_id: str, pid: int = 0) -> ContainerDetails | None:
        """What the runtimes tell about a container now; None when none of them knows it.

        `pid` is one of its processes, which makes the look-up exact and quick. Takes a few
        milliseconds; a runtime that does not answer costs at most 0.3 s, once a second.
        """
        if not _ID.fullmatch(container_id):
            return None
        return self._find(container_id, pid, time.monotonic() + BOUND)

    def scan(self, skip: Collection[str] = (), ended: Collection[str] = ()) -> list[ContainerDetails]:
        """All containers that run now, and the ended ones whose logs a runtime still keeps.

        Nothing is asked about the ids in `skip`, nor about those in `ended` that do not run again, so
        a look for new ones is cheap.
        """
        running = cgroups.find_all(self._cgroup_root)
        self._cgroups = dict(running)
        self._refresh(force=True)
        wanted = {container_id: cgroups.first_pid(path) for container_id, path in running.items()}
        for container_id in self._remembered():
            wanted.setdefault(container_id, 0)
        found = (
            self._find(container_id, pid, time.monotonic() + PATIENT)
            for container_id, pid in wanted.items()
            if container_id not in skip and (pid or container_id not in ended)
        )
        return [details for details in found if details is not None]

    def running(self, container_id: str) -> bool:
        """Whether any process is left in the container's cgroup."""
        path = self._cgroups.get(container_id)
        if path is None or not path.is_dir():
            self._cgroups = cgroups.find_all(self._cgroup_root)
            path = self._cgroups.get(container_id)
        return path is not None and cgroups.first_pid(path) > 0

    def close(self) -> None:
        """Close the connections to the runtimes."""
        self._cri.close()

    def _find(self, container_id: str, pid: int, end: float) -> ContainerDetails | None:
        holder = holders.holder_of(pid, self._proc) if pid else None
        if holder is not None:
            details = self._from_holder(holder, container_id, end)
            if details is not None:
                return details
        for fresh in (False, True):
            if fresh and not self._refresh():
                break
            details = self._first(container_id, end, daemons=False)
            if details is not None:
                return details
        # A daemon answers for running containers, too, but knows nothing of their root file system.
        return self._first(container_id, end, daemons=True)

    def _first(self, container_id: str, end: float, *, daemons: bool) -> ContainerDetails | None:
        """The first answer of those that hold containers, or of the runtimes' daemons."""
        for known in self._known:
            if isinstance(known, Daemon) == daemons:
                details = self._from_holder(known, container_id, end)
                if details is not None:
                    return details
        return None

    def _from_holder(self, holder: Holder, container_id: str, end: float) -> ContainerDetails | None:
        if isinstance(holder, Shim):
            return self._from_shim(holder, container_id, end)
        if isinstance(holder, Conmon):
            return self._from_conmon(holder, container_id)
        return self._from_daemon(holder, container_id, end)

    def _from_shim(self, shim: Shim, container_id: str, end: float) -> ContainerDetails | None:
        bundle = f"{shim.tasks}/{container_id}"
        seen = self._seen_by(shim.pid, bundle)
        if not seen.is_dir():
            return None
        draft = Draft(container_id, "containerd")
        config = bundles.read_config(draft, seen)
        draft.put("runtime", pid=bundles.first_process(seen / "init.pid"))
        told = self._ask(shim, draft, end)
        self._take_state(draft)
        bundles.take_root(draft, config, bundle, shim.pid, self._proc)
        # The root is mounted before the first process is started, so a later look finds no more.
        draft.complete = told and bool(config) and bool(draft.get("root_device") or draft.get("pid"))
        return draft.finish()

    def _take_state(self, draft: Draft) -> None:
        if not draft.get("state") and draft.get("pid") and (self._proc / str(draft.get("pid"))).exists():
            draft.put("runtime", state="running")

    def _ask(self, shim: Shim, draft: Draft, end: float) -> bool:
        """Ask the runtime behind the shim; return whether it told all there is."""
        if shim.namespace == DOCKER_NAMESPACE:
            return any(docker.read_container(draft, root, place) for root, place in self._docker_roots())
        if shim.namespace == KUBERNETES_NAMESPACE:
            ask = self._cri.sandbox if draft.get("kind") == "sandbox" else self._cri.container
            return ask(self._seen_by(shim.pid, shim.address), draft, end)
        told = self._cri.plain(self._seen_by(shim.pid, shim.address), shim.namespace, draft, end)
        draft.put("runtime", name=draft.get("name") or draft.get("id"))
        return told

    def _from_conmon(self, conmon: Conmon, container_id: str) -> ContainerDetails | None:
        if conmon.container_id != container_id:
            return None
        seen = self._seen_by(conmon.pid, conmon.bundle)
        draft = Draft(container_id, "cri-o")
        config = bundles.read_config(draft, seen)
        bundles.take_crio_sandbox(draft, seen)
        bundles.take_storage(draft, config, self._seen_by(conmon.pid, conmon.storage))
        draft.put("runtime", pid=bundles.first_process(self._seen_by(conmon.pid, conmon.pid_file)))
        self._take_state(draft)
        if draft.get("runtime") == "podman":
            draft.put("runtime", name=conmon.name)
            if conmon.log.startswith(PODMAN_LOG):  # the line format is CRI's
                draft.put("runtime", log_path=conmon.log.removeprefix(PODMAN_LOG), log_format="cri")
        bundles.take_root(draft, config, conmon.bundle, conmon.pid, self._proc)
        draft.complete = bool(config) and bool(draft.get("root_device") or draft.get("pid"))
        return draft.finish()

    def _from_daemon(self, daemon: Daemon, container_id: str, end: float) -> ContainerDetails | None:
        """An ended container: no shim and no bundle are left, but the runtime remembers it.

        One that is not ended has a shim that was not found yet: asking again will tell more.
        """
        draft = Draft(container_id, daemon.kind)
        place = self._seen_by(daemon.pid, daemon.place)
        if daemon.kind == "docker":
            known = docker.read_container(draft, place, daemon.place)
        else:
            known = self._cri.container(place, draft, end)
        draft.complete = known and draft.get("state") == "exited"
        return draft.finish() if known or draft.sources else None

    def _remembered(self) -> Iterator[str]:
        """The ids of the containers that daemons remember, whether they run or not."""
        for holder in self._known:
            if isinstance(holder, Daemon):
                place = self._seen_by(holder.pid, holder.place)
                yield from docker.containers(place) if holder.kind == "docker" else self._cri.ids(place)[0]

    def _docker_roots(self) -> Iterator[tuple[Path, str]]:
        """Docker's data roots: where we see them, and what Docker calls them."""
        daemons = [holder for holder in self._known if isinstance(holder, Daemon) and holder.kind == "docker"]
        if not daemons and self._refresh():
            daemons = [holder for holder in self._known if isinstance(holder, Daemon)]
        yield from ((self._seen_by(at.pid, at.place), at.place) for at in daemons if at.kind == "docker")
        yield Path(holders.DOCKER_ROOT), holders.DOCKER_ROOT

    def _refresh(self, *, force: bool = False) -> bool:
        """Walk through /proc again, unless that was done a moment ago."""
        with self._lock:
            start = time.monotonic()
            if not force and start < self._next_refresh:
                return False
            self._known = list(holders.find_all(self._proc))
            end = time.monotonic()
            self._next_refresh = end + REST * (end - start)
            return True

    def _seen_by(self, pid: int, path: str) -> Path:
        """`path` as that process sees it: the agent may live in another mount namespace."""
        inside = self._proc / str(pid) / "root"
        return inside / path.lstrip("/") if os.access(inside, os.X_OK) else Path(path)
