"""A process by which a tree of processes entered a container, as the node's records have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keelwatch.access.request import Request

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """`(pid, start)` names the process on its node; `time` is its exec, ns since the epoch.

    `main`: the container's own process rather than one that was put into it. `script` is set where a
    script was run: then `cmdline` begins with its interpreter. `ahead` (ns): the node's clock was so far
    ahead of the hub's, as was recorded about then.
    """

    container_id: str
    pid: int
    start: int
    time: int
    cmdline: str = ""
    container: str = ""
    node: str = ""
    script: str = ""
    tty: bool = False
    truncated: bool = False
    main: bool = False
    ahead: int = 0
    identity: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def times(self) -> tuple[int, ...]:
        """When it began, by the node's clock and, where that was off, by the hub's."""
        return (self.time, self.time - self.ahead) if self.ahead else (self.time,)

    @property
    def tree(self) -> str:
        """The name of the tree for ever."""
        return tree_name(self.container_id, self.pid, self.start)


def tree_name(container_id: str, pid: int, start: int) -> str:
    """What names a tree of processes, in sessions and for records."""
    return f"{container_id}/{pid}/{start}"


def entries(rows: Iterable[Row]) -> list[Entry]:
    """Entries from rows of `events`, the earliest first."""
    found = [
        Entry(
            container_id=str(row["container_id"]),
            pid=int(row["entry_pid"]),
            start=int(row["entry_start"]),
            time=int(row["time"]),
            cmdline=str(row["cmdline"]),
            container=str(row["container"]),
            node=str(row["node"]),
            script=str(row["script"]),
            tty=bool(row["tty"]),
            truncated=bool(row["truncated"]),
            main=bool(row["main"]),
            identity=row,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.time, one.pid))


def runs(entry: Entry, request: Request) -> bool:
    """Whether this process is what the request's command makes."""
    asked = request.command
    if entry.script:
        return _runs_script(entry, request)
    if entry.truncated:
        return bool(entry.cmdline) and asked.startswith(entry.cmdline)
    return entry.cmdline == asked


def _runs_script(entry: Entry, request: Request) -> bool:
    """The kernel puts the interpreter in front, and the script's whole path in its name's place."""
    if not request.argv:
        return False
    named = entry.script.rpartition("/")[2] == request.argv[0].rpartition("/")[2]
    rest = " ".join((entry.script, *request.argv[1:]))
    return named and (entry.cmdline.endswith(rest) or (entry.truncated and rest in entry.cmdline))
