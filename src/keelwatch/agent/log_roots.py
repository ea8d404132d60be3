"""Log files that no known container writes: of those that ended before the agent came to see them.

The kubelet's names tell who wrote them: `<namespace>_<pod>_<uid>/<container>/<restart>.log`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from keelwatch.capture.logs import Follower, LogTarget
from keelwatch.capture.logs.paths import LOG, identity_of
from keelwatch.capture.logs.rotation import is_gone
from keelwatch.model.identity import Identity

PATIENCE = 10.0
"""Seconds for a runtime to claim a new file as a container's."""
MAX_FILES = 10_000
PREFIX = "path:"
"""What the names of such streams begin with; others are container ids."""


class LogRoots:
    """Used by one thread."""

    def __init__(
        self,
        roots: Iterable[Path],
        follower: Follower,
        host: Identity,
        complete: Callable[[Identity], Identity] = lambda identity: identity,
    ) -> None:
        self._complete = complete
        self._roots = tuple(roots)
        self._follower = follower
        self._host = host
        self._first_seen: dict[Path, float] = {}

    def look(self, now: float | None = None) -> None:
        """Follow files that nobody has claimed for a while; let go of those that were deleted."""
        now = time.monotonic() if now is None else now
        followed = self._followed()
        found = set(islice(self._files(), MAX_FILES)) - followed.keys()
        self._first_seen = {path: self._first_seen.get(path, now) for path in found}
        ripe = [path for path, since in self._first_seen.items() if now - since >= PATIENCE]
        left = {real(Path(path)): name for path, name in self._follower.resting().items()} if ripe else {}
        for path in ripe:
            self._follow(path, left.get(path, f"{PREFIX}{path}"))
        for path, name in followed.items():
            if name.startswith(PREFIX) and is_gone(path):
                self._follower.end(name)

    def _followed(self) -> dict[Path, str]:
        return {real(Path(path)): name for path, name in self._follower.paths().items()}

    def _follow(self, path: Path, name: str) -> None:
        identity = identity_of(path, self._host)
        if not name.startswith(PREFIX):
            source = f"{identity.identity_source} container_id=cgroup"
            identity = replace(identity, container_id=name, identity_source=source)
        self._follower.watch(LogTarget(name, path, "cri", self._complete(identity)))

    def _files(self) -> Iterator[Path]:
        for root in self._roots:
            for pod in _folders(Path(os.path.realpath(root))):
                if pod.name.count("_") == 2:
                    for container in _folders(pod):
                        yield from _logs(container)


def path_stream(follower: Follower, path: Path) -> str:
    """The stream that was begun for this log before its container was known, or ""."""
    where = real(path)
    known = {**follower.resting(), **follower.paths()}
    names = (name for found, name in known.items() if name.startswith(PREFIX) and Path(found) == where)
    return next(names, "")


def real(path: Path) -> Path:
    """The path without symbolic links in its folders; the log itself must be none."""
    return Path(os.path.realpath(path.parent)) / path.name


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]


def _logs(folder: Path) -> list[Path]:
    return [
        Path(entry.path)
        for entry in _entries(folder)
        if LOG.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
    ]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # it went while we looked, or there is none on this node
