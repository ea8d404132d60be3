"""Is this file the image's? Hashes programs and compares them with the layers below the upper one.

Runs on a thread of its own: hashing must not delay other events. So what is found at a path may be
another file than the one that was run, put there to deceive. It counts only if it did not change:
size, time of modification and time of change (which, unlike the other, nobody can set) are those that
the event saw. Of a script the event knows nothing but the name; there the file must not have changed
since. (Kernels may give a change the time of the last clock tick, some milliseconds ago: one right
behind the start of a script can pass unnoticed.) Otherwise it is "gone", which rules take for drift.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from keelwatch.enrich import procfs
from keelwatch.enrich.layers import Layers, in_image, in_upper, resolve
from keelwatch.enrich.provenance import subject
from keelwatch.kit import rooted
from keelwatch.kit.lru import LRU
from keelwatch.model.event import Event

__all__ = ["Content", "Examiner", "Layers", "in_image"]

MAX_CACHE = 4096
CHUNK = 1 << 20


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
        place = _place(event, layers)
        with _first(self._candidates(event, layers, place, written=written)) as file:
            if file < 0:
                return Content("new" if event.memfd else _outside(overlay, written) or "gone")
            found = os.fstat(file)
            sha = self._hash(file, found)
            drift = self._drift(place, found, sha, layers, event, overlay=overlay, written=written)
            return Content(drift, sha, found.st_size)

    def _drift(
        self,
        place: str,
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
        if event.process.script and not in_upper(place, layers) and not in_image(place, layers):
            return outside or ("new" if written else "volume")
        # A script of the image's is compared, too: a volume may be mounted over the image's folder.
        return self._against_image(place, found, sha, layers)

    def _against_image(self, place: str, found: os.stat_result, sha: str, layers: Layers) -> str:
        with _first(_below(layer, place) for layer in layers.lower) as file:
            if file < 0:
                return "new"
            below = os.fstat(file)
            if below.st_size != found.st_size:
                return "changed"
            return "image" if sha and self._hash(file, below) == sha else "changed"

    def _candidates(self, event: Event, layers: Layers, place: str, *, written: bool) -> Iterator[int]:
        if not event.process.script:
            yield _same(_program(event), event)
        if not event.memfd:
            yield _same(_in_root_of(event), event)
            if layers.upper:
                yield _same(_below(layers.upper, place), event)
        if event.process.script and not written and not in_upper(place, layers):
            # A script of the image whose process has ended. (A whiteout counts as something in upper.)
            yield from (_same(_below(layer, place), event) for layer in layers.lower)

    def _hash(self, file: int, found: os.stat_result) -> str:
        if found.st_size > self._limit:
            return ""
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self._hashes.get(key)
        if known is None:
            known = _sha256(file)
            self._hashes[key] = known
        return known


def _place(event: Event, layers: Layers) -> str:
    """Where in the layers the program or script lies, links resolved. The kernel's path has none left."""
    if not event.process.script:
        return event.path
    with suppress(OSError), _root_of(event) as root:
        seen = rooted.look(root, subject(event))
        try:
            return os.readlink(f"/proc/self/fd/{seen}")  # noqa: PTH115  # no path: a name of the kernel's
        finally:
            os.close(seen)
    return resolve(subject(event), layers)


def _outside(overlay: bool, written: bool) -> str:
    """The drift of a file that lies on no overlay: tmpfs, an emptyDir, a volume."""
    if overlay:
        return ""
    return "new" if written else "volume"


@contextmanager
def _first(candidates: Iterator[int]) -> Iterator[int]:
    """The first descriptor that could be opened (-1 where none could), closed afterwards."""
    found = next((file for file in candidates if file >= 0), -1)
    try:
        yield found
    finally:
        if found >= 0:
            os.close(found)


def _same(file: int, event: Event) -> int:
    """The descriptor, if it is of the file that the event saw; else it is closed, and -1."""
    if file < 0:
        return -1
    found = os.fstat(file)
    if event.process.script:
        same = found.st_ctime_ns <= event.time
    else:
        seen = (event.size, event.mtime, event.ctime)
        same = (found.st_size, found.st_mtime_ns, found.st_ctime_ns) == seen
    if same and stat.S_ISREG(found.st_mode):
        return file
    os.close(file)
    return -1


def _program(event: Event) -> int:
    """Open what the process runs now."""
    with suppress(OSError):
        return os.open(f"{procfs.PROC}/{event.process.pid}/exe", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    return -1


def _in_root_of(event: Event) -> int:
    """Open the program or script as the process itself would."""
    with suppress(OSError), _root_of(event) as root:
        return rooted.open_regular(root, subject(event))
    return -1


@contextmanager
def _root_of(event: Event) -> Iterator[int]:
    """A descriptor of the process's root folder; OSError if the process is gone."""
    process = event.process
    root = rooted.folder(f"{procfs.PROC}/{process.pid}/root")
    try:
        # Looked at after the root was opened: the number may be another process's by now.
        if abs(procfs.started(process.pid) - process.start) > 2 * procfs.TICK:
            raise ProcessLookupError(process.pid)
        yield root
    finally:
        os.close(root)


def _below(layer: str, place: str) -> int:
    """Open what a layer has at `place`; -1 where that is no regular file."""
    with suppress(OSError):
        root = rooted.folder(layer)
        try:
            return rooted.open_regular(root, place)
        finally:
            os.close(root)
    return -1


def _sha256(file: int) -> str:
    digest = hashlib.sha256()
    offset = 0
    while block := os.pread(file, CHUNK, offset):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()
