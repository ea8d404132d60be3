"""The processes that run now, found by their id, their container, or the tree that they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, TypeVar

from keelwatch.model.process import Process

_Tree: TypeAlias = tuple[str, int, int]
_NOBODYS: _Tree = ("", 0, 0)
Key = TypeVar("Key")


class Living:
    """`put` a process again when its container or its tree has become known. Not thread-safe."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Process] = {}
        self._places: dict[int, _Tree] = {}
        self._containers: dict[str, set[int]] = {}
        self._trees: dict[_Tree, set[int]] = {}

    def __len__(self) -> int:
        return len(self._by_pid)

    def __iter__(self) -> Iterator[Process]:
        """All of them, as they were when it began."""
        return iter(list(self._by_pid.values()))

    def get(self, pid: int) -> Process | None:
        """The process that has this id now."""
        return self._by_pid.get(pid)

    def put(self, process: Process) -> None:
        """Take in a process, in place of what had its id."""
        self._by_pid[process.pid] = process
        place = (process.container_id, process.entry_pid, process.entry_start)
        if self._places.get(process.pid, _NOBODYS) != place:
            self._leave(process.pid)
            self._enter(process.pid, place)

    def pop(self, pid: int) -> Process | None:
        """Forget a process, and return it."""
        self._leave(pid)
        return self._by_pid.pop(pid, None)

    def of_container(self, container_id: str) -> list[Process]:
        """The processes of a container."""
        return [self._by_pid[pid] for pid in self._containers.get(container_id, ())]

    def has_tree_of(self, process: Process) -> bool:
        """Whether any process runs that came into the container by the same entry."""
        return (process.container_id, process.entry_pid, process.entry_start) in self._trees

    def _enter(self, pid: int, place: _Tree) -> None:
        container_id, entry_pid, _ = place
        if not container_id:
            return
        self._places[pid] = place
        self._containers.setdefault(container_id, set()).add(pid)
        if entry_pid:
            self._trees.setdefault(place, set()).add(pid)

    def _leave(self, pid: int) -> None:
        place = self._places.pop(pid, None)
        if place is None:
            return
        _discard(self._containers, place[0], pid)
        _discard(self._trees, place, pid)


def _discard(index: dict[Key, set[int]], key: Key, pid: int) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(pid)
        if not members:
            del index[key]
