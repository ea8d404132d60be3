"""Observation → event: gives it a process with ancestry, who acted, whose file, and its history."""

from __future__ import annotations

from keelwatch.enrich.catalog import Catalog
from keelwatch.enrich.drift import in_image
from keelwatch.enrich.processes import ProcessTree
from keelwatch.enrich.provenance import FileHistory
from keelwatch.kit import clock
from keelwatch.kit.lru import LRU
from keelwatch.model.event import Event
from keelwatch.model.observation import Observation
from keelwatch.model.process import Process

FILE_KINDS = frozenset({"open", "inherit", "rename", "link", "chmod", "unlink"})
MAX_CACHE = 8192


class Enricher:
    """Owned by the pipeline's thread. Observations must come in order of time."""

    def __init__(self, tree: ProcessTree, catalog: Catalog, history: FileHistory) -> None:
        self._tree = tree
        self._catalog = catalog
        self._history = history
        self._mounts = LRU[int, str](MAX_CACHE)  # mount namespace -> container
        self._in_image = LRU[tuple[str, str], bool](MAX_CACHE)
        self.boot_offset = clock.boot_offset()

    def enrich(self, seen: Observation) -> Event | None:
        """Return the event, or None for what only moves the process tree.

        Of the ends of processes only the last one of each tree makes an event: with it, what entered the
        container has left.
        """
        process = self._tree.apply(seen)
        container = seen.container_id or process.container_id
        if seen.kind == "fork" or (seen.kind == "exit" and not self._tree.was_last(process)):
            return None
        if seen.kind == "exec" and seen.overlay and seen.phase == "run" and container:
            self._catalog.learn_device(seen.device, container)
            self._mounts[seen.mount_ns] = container
        event = self._event(seen, process, container)
        if seen.kind in FILE_KINDS:
            if seen.phase == "run" and seen.overlay:
                event.drift = self._drift(event, container)
            self._history.record(event)
        return event

    def sweep(self) -> list[Event]:
        """Forget processes that ended unseen; return the ends of their trees, dated now."""
        gone = [process for process in self._tree.sweep() if self._tree.was_last(process)]
        trees = {(one.container_id, one.entry_pid, one.entry_start): one for one in gone}
        return [self._end(process) for process in trees.values()]

    def _end(self, process: Process) -> Event:
        who = self._catalog.identity(process.container_id, process.pid)
        return Event(clock.now(), "exit", "exit", 0, process, who, exit_code=None)

    def _event(self, seen: Observation, process: Process, container: str) -> Event:
        owner = self._owner(seen)
        return Event(
            time=seen.time + self.boot_offset,
            kind=seen.kind,
            type=seen.syscall,
            result=seen.result,
            process=process,
            identity=self._catalog.identity(container, seen.pid),
            phase=seen.phase,
            tid=seen.tid,
            file_identity=self._catalog.identity(owner) if owner and owner != container else None,
            path=seen.path,
            path_source=seen.path_source,
            old_path=seen.old_path,
            old_path_source=seen.old_path_source,
            truncated=seen.truncated,
            device=seen.device,
            inode=seen.inode,
            mode=seen.mode,
            size=seen.size,
            ctime=seen.ctime,
            mtime=seen.mtime,
            flags=seen.flags,
            upper=seen.upper,
            memfd=seen.memfd,
            created=seen.created,
            descriptor=seen.descriptor,
            target=self._tree.get(seen.target_pid) if seen.target_pid else None,
            request=seen.request,
            source=seen.source,
            filesystem=seen.filesystem,
            name=seen.name,
            exit_code=seen.exit_code if seen.kind == "exit" else None,
        )

    def _owner(self, seen: Observation) -> str:
        """The container whose file it is, by the file's superblock.

        For a call by path the sensor only knows the superblock that a host process stands in. With
        --host that is told even where an absolute path leads elsewhere; then the path, or the process's
        view of the mounts, has to agree.
        """
        owner = self._catalog.owner_of(seen.device) if seen.device else ""
        if not owner or seen.visited or seen.container_id or seen.path_source != "user":
            return owner
        inside = f"/{owner}/rootfs/" in seen.path or "/merged/" in seen.path
        return owner if inside or self._mounts.get(seen.mount_ns) == owner else ""

    def _drift(self, event: Event, container: str) -> str:
        """Whether the file that is being changed is one that the image brought."""
        owner = event.file_identity.container_id if event.file_identity else container
        key = (owner, event.old_path if event.kind == "rename" and not event.path else event.path)
        known = self._in_image.get(key)
        if known is None:
            at = self._catalog.container(owner)
            known = at is not None and in_image(key[1], at.layers)
            if at is not None and at.layers.lower:
                self._in_image[key] = known
        return "changed" if known else "new"
