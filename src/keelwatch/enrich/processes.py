"""The process tree: every container process with its ancestry, kept current from observations.

It is seeded from /proc, so a running machine has ancestry at once. Parents that are host processes
are not reported by the sensor; they are read from /proc when a child of theirs is first seen.
"""

from __future__ import annotations

from dataclasses import replace

from keelwatch.enrich import procfs
from keelwatch.enrich.living import Living
from keelwatch.kit.lru import LRU
from keelwatch.model.observation import Observation
from keelwatch.model.process import MAX_ANCESTORS, Process

START_TOLERANCE = 2 * procfs.TICK
"""/proc counts start times in ticks; the sensor in nanoseconds. This much apart is the same."""


MAX_ADOPTERS = 4096
COMM = 15
"""Bytes of a process's name, as the kernel keeps it (TASK_COMM_LEN - 1)."""


class ProcessTree:
    """Not thread-safe: one pipeline owns it. Observations must come in order of time."""

    def __init__(self) -> None:
        self._now = Living()
        self._absent: set[int] = set()
        self._adopters = LRU[str, Process](MAX_ADOPTERS)  # container id -> its shim

    def __len__(self) -> int:
        return len(self._now)

    def seed(self) -> None:
        """Learn every process that runs now."""
        for pid in procfs.pids():
            self._adopt(pid)
        for process in self._now:
            self._link(process)
        self._enter_all()

    def get(self, pid: int) -> Process | None:
        """The process that has this id now."""
        return self._now.get(pid)

    def apply(self, seen: Observation) -> Process:
        """Bring the tree up to date with `seen` and return the process that acted."""
        if seen.kind == "exec" and seen.result >= 0:
            return self._exec(seen)
        process = self._actor(seen)
        if seen.kind == "fork":
            self._fork(seen, process)
        elif seen.kind == "exit":
            process.ended = True
            self._now.pop(seen.pid)
        return process

    def was_last(self, process: Process) -> bool:
        """Whether with this process, which has ended, its whole tree has."""
        return bool(process.entry_pid) and not self._now.has_tree_of(process)

    def sweep(self) -> list[Process]:
        """Forget processes that were gone at the last sweep, too; return them.

        The sensor does not report the end of host processes, and the report of another's may be lost.
        One that has just ended may still have records on their way.
        """
        absent = {process.pid for process in self._now if not procfs.alive(process.pid)}
        gone = [process for pid in absent & self._absent if (process := self._now.pop(pid)) is not None]
        for process in gone:
            process.ended = True
        self._absent = absent - self._absent
        return gone

    def _exec(self, seen: Observation) -> Process:
        before = self._known(seen.pid, seen.start)
        parent = (before.parent if before else None) or self._parent(seen)
        if before is not None:
            before.ended = True
        process = Process(
            pid=seen.pid,
            start=seen.start,
            ppid=seen.ppid,
            parent=parent,
            comm=_name(seen),
            exe=seen.path,
            argv=seen.argv,
            cwd=seen.cwd,
            tty=seen.tty,
            uid=seen.uid,
            euid=seen.euid,
            gid=seen.gid,
            loginuid=seen.loginuid,
            capabilities=seen.capabilities,
            environment=seen.environment,
            container_id=seen.container_id,
            exec_time=seen.time,
            upper=seen.upper,
            memfd=seen.memfd,
            script=seen.script,
            previous=_executed(before, parent),
        )
        if seen.phase == "run":
            _enter(process, before)
        self._now.put(process)
        return process

    def _fork(self, seen: Observation, parent: Process) -> None:
        child = replace(
            parent,
            pid=seen.child_pid,
            start=seen.child_start,
            ppid=parent.pid,
            parent=parent,
            container_id=seen.container_id or parent.container_id,
            ended=False,
        )
        _cut(child)
        self._now.put(child)

    def _actor(self, seen: Observation) -> Process:
        known = self._known(seen.pid, seen.start)
        if known is None:
            known = self._adopt(seen.pid)
            if known is None or not _same(known.start, seen.start):
                known = Process(pid=seen.pid, start=seen.start, comm=seen.comm)
            known.ppid = known.ppid or seen.ppid
            known.parent = self._parent(seen)
        known.start = seen.start
        known.container_id = seen.container_id or known.container_id
        if seen.phase == "run":
            _enter(known)
        now = self._current(known, seen)
        self._now.put(now)
        return now

    def _current(self, known: Process, seen: Observation) -> Process:
        """The process as it is now. What earlier records say of it must not change with it."""
        comm = known.comm if seen.comm in ("", "exe") else seen.comm
        if (known.uid, known.euid, known.gid, known.comm) == (seen.uid, seen.euid, seen.gid, comm):
            return known
        changed = replace(known, uid=seen.uid, euid=seen.euid, gid=seen.gid, comm=comm)
        known.ended = True
        return changed

    def _known(self, pid: int, start: int) -> Process | None:
        found = self._now.get(pid)
        return found if found is not None and _same(found.start, start) else None

    def _parent(self, seen: Observation) -> Process | None:
        """The parent; where it is gone already, whoever the child was given to.

        A runtime ends when it has started a process, which the container's shim then adopts.
        """
        pid, start = seen.ppid, seen.parent_start
        found = self._known(pid, start) if start else self._now.get(pid)
        if found is None and pid > 0:
            found = self._adopt(pid)
        if found is None:
            orphan = procfs.read_process(seen.pid)
            if orphan is not None and orphan.ppid > 0:
                found = self._now.get(orphan.ppid) or self._adopt(orphan.ppid)
        if found is None:
            return self._adopter(seen.container_id)
        self._link(found)
        if seen.container_id and not found.container_id and found.exe:
            self._adopters[seen.container_id] = found
        return found

    def _adopter(self, container_id: str) -> Process | None:
        """Who brings up this container's orphans: of those who started it, the nearest that still runs."""
        at = self._adopters.get(container_id)
        while at is not None and (at.ended or not _runs(at)):
            at = at.parent
        return at or self._shim_of(container_id)

    def _shim_of(self, container_id: str) -> Process | None:
        """Ask a process of the container that still runs who its parent on the node is now."""
        for at in self._now.of_container(container_id):
            now = procfs.read_process(at.pid)
            if now is None or not _same(now.start, at.start) or now.ppid <= 0:
                continue
            found = self._now.get(now.ppid) or self._adopt(now.ppid)
            if found is not None and not found.container_id:
                self._link(found)
                self._adopters[container_id] = found
                return found
        return None

    def _adopt(self, pid: int) -> Process | None:
        found = procfs.read_process(pid)
        if found is not None:
            self._now.put(found)
        return found

    def _link(self, process: Process) -> None:
        """Give a process read from /proc its ancestors, reading those that are not known."""
        for _ in range(MAX_ANCESTORS):
            if process.parent is not None or process.ppid <= 0:
                return
            process.parent = self._now.get(process.ppid) or self._adopt(process.ppid)
            if process.parent is None:
                return
            process = process.parent

    def _enter_all(self) -> None:
        """Find the entries of processes read from /proc, parents before children."""
        for process in self._now:
            for at in [*reversed(process.ancestors()), process]:
                _enter(at)
            self._now.put(process)


def _same(one: int, other: int) -> bool:
    return abs(one - other) <= START_TOLERANCE


def _runs(process: Process) -> bool:
    now = procfs.read_process(process.pid)
    return now is not None and _same(now.start, process.start)


def _name(seen: Observation) -> str:
    """A program that runs itself anew by /proc/self/exe (busybox, runc) is called "exe" for a moment."""
    if seen.comm == "exe" and seen.argv:
        return seen.argv[0].rpartition("/")[2][:COMM] or seen.comm
    return seen.comm


def _enter(process: Process, before: Process | None = None) -> None:
    """Note by which process this one's tree entered its container; kept from what it was or came from.

    Its start is told in clock ticks, as /proc has it: a tree keeps its name when the agent is replaced.
    """
    if process.entry_pid or not process.container_id:
        return
    process.entry_pid, process.entry_start = process.pid, process.start // procfs.TICK * procfs.TICK
    for origin in (before, process.parent):
        if origin is not None and origin.entry_pid and origin.container_id == process.container_id:
            process.entry_pid, process.entry_start = origin.entry_pid, origin.entry_start
            return


def _executed(before: Process | None, parent: Process | None) -> Process | None:
    """The image before an exec, unless that was only the copy that fork makes of the parent."""
    if (
        before is None
        or not before.exec_time
        or (parent is not None and before.exec_time == parent.exec_time)
    ):
        return None
    return replace(before, previous=None)


def _cut(process: Process) -> None:
    """Drop dead ancestors beyond the limit: a process that forks and exits for ever must not leak."""
    at = process
    for _ in range(MAX_ANCESTORS):
        if at.parent is None:
            return
        at = at.parent
    if at.ended:
        at.parent = None
