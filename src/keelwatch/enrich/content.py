"""Is this file the image's? Hashes programs and compares them with the layers below the upper one.

Runs on a thread of its own: hashing must not delay other events. Paths come from containers, so
they are walked without following any symbolic link, and only regular files are read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from keelwatch.enrich.procfs import PROC
from keelwatch.enrich.provenance import subject
from keelwatch.kit.lru import LRU
from keelwatch.model.event import Event

MAX_CACHE = 4096
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Layers:
    """Where a container's overlay keeps its files, as paths of the node."""

    upper: str = ""
    lower: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """`drift` is one of Event.drift's values; `sha256` is "" when the file is too large or gone."""

    drift: str
    sha256: str = ""
    size: int = 0


class Examiner:
    """Remembers hashes by (device, inode, size, mtime, ctime), so a file run often is read once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._hashes = LRU[tuple[int, ...], str](MAX_CACHE)

    def examine(self, event: Event, layers: Layers, *, overlay: bool, written: bool) -> Content:
        """Say what the program or script that an exec event runs is, compared with the image."""
        path = subject(event)
        with _first(self._candidates(event, layers)) as file:
            if file < 0:
                return Content("new" if event.memfd else _outside(overlay, written) or "gone")
            found = os.fstat(file)
            sha = self._hash(file, found)
            drift = self._drift(path, found, sha, layers, event, overlay=overlay, written=written)
            return Content(drift, sha, found.st_size)

    def _drift(
        self,
        path: str,
        found: os.stat_result,
        sha: str,
        layers: Layers,
        event: Event,
        *,
        overlay: bool,
        written: bool,
    ) -> str:
        if event.memfd:
            return "new"
        outside = _outside(overlay, written)
        if outside and not event.process.script:
            return outside
        if event.process.script and not _in_upper(path, layers):
            return "image" if in_image(path, layers) else (outside or ("new" if written else "volume"))
        return self._against_image(path, found, sha, layers)

    def _against_image(self, path: str, found: os.stat_result, sha: str, layers: Layers) -> str:
        with _first(_in_root(root, path) for root in layers.lower) as file:
            if file < 0:
                return "new"
            below = os.fstat(file)
            if below.st_size != found.st_size:
                return "changed"
            return "image" if sha and self._hash(file, below) == sha else "changed"

    def _candidates(self, event: Event, layers: Layers) -> Iterator[int]:
        process = event.process
        if not process.script:
            yield _regular(f"{PROC}/{process.pid}/exe", event)
        if not event.memfd:
            yield _in_root(f"{PROC}/{process.pid}/root", subject(event))
            if layers.upper:
                yield _in_root(layers.upper, subject(event))

    def _hash(self, file: int, found: os.stat_result) -> str:
        if found.st_size > self._limit:
            return ""
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self._hashes.get(key)
        if known is None:
            known = _sha256(file)
            self._hashes[key] = known
        return known


def in_image(path: str, layers: Layers) -> bool:
    """Whether a layer below the container's own holds something at `path`."""
    for root in layers.lower:
        try:
            return not stat.S_ISCHR(os.lstat(root + path).st_mode)  # a whiteout is a character device
        except OSError:
            continue
    return False


def _in_upper(path: str, layers: Layers) -> bool:
    return bool(layers.upper) and os.path.lexists(layers.upper + path)


def _outside(overlay: bool, written: bool) -> str:
    """The drift of a file that lies on no overlay: tmpfs, an emptyDir, a volume."""
    if overlay:
        return ""
    return "new" if written else "volume"


@contextmanager
def _first(candidates: Iterator[int] | Sequence[int]) -> Iterator[int]:
    """The first descriptor that could be opened (-1 where none could), closed afterwards."""
    found = next((file for file in candidates if file >= 0), -1)
    try:
        yield found
    finally:
        if found >= 0:
            os.close(found)


def _regular(path: str, event: Event) -> int:
    """Open the image of a running process, if it is still the one that the event saw."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return -1
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or (event.mtime and found.st_mtime_ns != event.mtime):
        os.close(file)
        return -1
    return file


def _in_root(root: str, path: str) -> int:
    """Open `path` below `root` for reading, following no link; -1 where that is not possible."""
    parts = [part for part in path.split("/") if part and part != "."]
    if not parts or ".." in parts:
        return -1
    try:
        at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[:-1]:
            at = _step_into(at, part)
        try:
            file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        finally:
            os.close(at)
    except OSError:
        return -1
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return -1


def _step_into(at: int, part: str) -> int:
    try:
        return os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)


def _sha256(file: int) -> str:
    digest = hashlib.sha256()
    offset = 0
    while block := os.pread(file, CHUNK, offset):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()
