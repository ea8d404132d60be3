"""Which events are stored one by one: all, but for the everyday writes of a program to a volume.

A data base opens and renames files in its volume all day, and each would be a record. They belong to no
image, no rule fired on them, nothing in them can be run. So of what one program does of one kind in one
volume of its container only the first few are stored each minute; the next one stored carries how many
were left out before it. Detection and provenance see all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from posixpath import normpath
from typing import TypeAlias

from keelwatch.kit.lru import LRU
from keelwatch.model.event import Event

KINDS = frozenset({"open", "inherit", "rename", "link", "unlink", "chmod"})
FIRST = 10
WINDOW = 60.0
MAX_KEYS = 4096
_RUNNABLE = 0o111

_Key: TypeAlias = tuple[str, str, str, str]


@dataclass(slots=True)
class _Seen:
    until: float
    stored: int = 0
    left_out: int = 0


class Thinning:
    """Thread-safe. `left_out` counts since the start; with `everything` nothing is left out."""

    def __init__(self, *, everything: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._everything = everything
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = LRU[_Key, _Seen](MAX_KEYS)
        self.left_out = 0

    def stores(self, event: Event, volumes: Sequence[str], *, alerted: bool) -> bool:
        """Whether an event is stored; sets its `left_out`. `volumes` are the container's mount points."""
        if alerted or self._everything or event.kind not in KINDS or not event.identity.container_id:
            return True
        if event.file_identity is not None or event.mode & _RUNNABLE or event.result < 0:
            return True
        if event.drift and event.path_source == "kernel":  # by the path of a call alone it is only a guess
            return True
        volume = volume_of(normpath(event.path), volumes)
        if not volume:
            return True
        with self._lock:
            return self._counted(event, (event.identity.container_id, event.process.exe, event.kind, volume))

    def _counted(self, event: Event, key: _Key) -> bool:
        now = self._clock()
        seen = self._seen.get(key)
        if seen is None or seen.until <= now:
            event.left_out = seen.left_out if seen is not None else 0
            seen = self._seen[key] = _Seen(now + WINDOW)
        if seen.stored < FIRST:
            seen.stored += 1
            return True
        seen.left_out += 1
        self.left_out += 1
        return False


def volume_of(path: str, volumes: Sequence[str]) -> str:
    """The mount point that a path is below, "" for none."""
    return next(
        (at for at in volumes if path.startswith(at) and path[len(at) : len(at) + 1] in ("/", "")), ""
    )
