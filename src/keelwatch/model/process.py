"""A process as keelwatch remembers it: one program image, its credentials, and who started it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_ANCESTORS = 16
"""How many ancestors a record carries: deeper trees are cut, which the record does not hide."""


@dataclass(slots=True, eq=False)
class Process:
    """The state of one process since its last exec.

    `(pid, start)` names a process for the life of the machine: `start` is its start time in
    nanoseconds since boot (CLOCK_BOOTTIME), so a reused pid is another process. An exec makes a new
    `Process` with the same key, so records keep the image they were made by.

    `(entry_pid, entry_start)` names the process by which its tree entered the container: the entrypoint,
    or what an exec into the container started; its start is rounded down to a clock tick. 0 where there is
    none, as for host processes.
    """

    pid: int
    start: int
    ppid: int = 0
    parent: Process | None = None
    comm: str = ""
    exe: str = ""
    argv: tuple[str, ...] = ()
    cwd: str = ""
    tty: int = 0
    uid: int = 0
    euid: int = 0
    gid: int = 0
    loginuid: int = -1
    capabilities: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    container_id: str = ""
    entry_pid: int = 0
    entry_start: int = 0
    exec_time: int = 0
    upper: bool = False
    memfd: bool = False
    script: str = ""
    sha256: str = ""
    previous: Process | None = None  # the image before the last exec, if it had been executed itself
    ended: bool = False  # the process, or this image of it, runs no longer

    @property
    def cmdline(self) -> str:
        """argv joined by blanks, as ps(1) shows it."""
        return " ".join(self.argv) if self.argv else self.comm

    def ancestors(self) -> list[Process]:
        """Parent, grandparent …, nearest first, at most MAX_ANCESTORS; as Falco's `proc.aname` counts."""
        found: list[Process] = []
        at = self.parent
        while at is not None and len(found) < MAX_ANCESTORS:
            found.append(at)
            at = at.parent
        return found

    def lineage(self) -> list[Process]:
        """The ancestors, and before each the image it had until its last exec (the same pid).

        A shell runs its last command without a fork; without this it would be missing from the tree.
        """
        found: list[Process] = []
        for process in [self, *self.ancestors()]:
            if process is not self:
                found.append(process)
            if process.previous is not None:
                found.append(process.previous)
        return found[:MAX_ANCESTORS]

    def summary(self) -> dict[str, Any]:
        """The process as records and the API show it (documented in docs/reference/records.md)."""
        return {
            "pid": self.pid,
            "name": self.comm,
            "exe": self.exe,
            "cmdline": self.cmdline,
            "cwd": self.cwd,
            "uid": self.uid,
            "gid": self.gid,
            "loginuid": self.loginuid,
            "tty": self.tty,
            "container_id": self.container_id,
        }
