"""The spool's files: numbered segments, one process at a time, every step able to be cut short.

<directory>/lock
<directory>/0000000000000001.segment   ship.segment has the layout
<directory>/corrupt/                    damaged segments, kept for a look, the newest few
<directory>/rejected/                   frames that the hub refused for ever, the newest few
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from keelwatch.kit import faults

_KEPT = 8
"""How many files `corrupt` and `rejected` keep each."""


class SpoolLockedError(RuntimeError):
    """Another process has the spool."""


class SegmentFiles:
    """All file operations of a spool. `last` is the segment that is appended to, of `length` bytes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._lock = self._take_lock()
        for leftover in directory.glob("*.new"):
            leftover.unlink()
        self.sizes = {int(path.stem): path.stat().st_size for path in directory.glob("*.segment")}
        self._fd = -1
        self.last = 0
        self.broken = False

    def _take_lock(self) -> int:
        fd = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise SpoolLockedError(f"{self.directory}: the spool is in use by another process") from error
        return fd

    @property
    def numbers(self) -> list[int]:
        """Segment numbers, oldest first."""
        return sorted(self.sizes)

    @property
    def total(self) -> int:
        """Bytes of all segments."""
        return sum(self.sizes.values())

    def path(self, number: int) -> Path:
        """Where segment `number` is."""
        return self.directory / f"{number:016d}.segment"

    def create(self, number: int, head: bytes) -> None:
        """Make segment `number` with `head`, durable before it is seen, and append to it from now on."""
        fd = self._write_new(self.path(number), head)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self.last, self.broken = fd, number, False
        self.sizes[number] = len(head)

    def _write_new(self, path: Path, data: bytes) -> int:
        """Write `data` to a new file at `path` by way of a rename; return its open descriptor."""
        temporary = path.with_suffix(".new")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            faults.point("spool.create.open")
            _write(fd, data, "spool.create")
            os.fsync(fd)
            faults.point("spool.create.synced")
            temporary.rename(path)
            faults.point("spool.create.renamed")
            self._sync_directory()
            faults.point("spool.create.durable")
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        return fd

    def reopen(self, number: int, end: int) -> None:
        """Append to the existing segment `number` from byte `end` on; what is behind it is cut off."""
        self._fd = os.open(self.path(number), os.O_RDWR | os.O_CLOEXEC)
        self.last = number
        if end < self.sizes[number]:
            os.ftruncate(self._fd, end)
            faults.point("spool.reopen.truncated")
            os.fsync(self._fd)
        self.sizes[number] = end

    def append(self, data: bytes) -> None:
        """Add `data` to the last segment, durable on return. On OSError nothing has been added."""
        if self.broken:
            raise OSError(f"{self.path(self.last)}: a failed write could not be undone")
        at = self.sizes[self.last]
        try:
            os.lseek(self._fd, at, os.SEEK_SET)
            faults.point("spool.append.begin")
            _write(self._fd, data, "spool.append")
            os.fdatasync(self._fd)
            faults.point("spool.append.synced")
        except OSError:
            self._undo(at)
            raise
        self.sizes[self.last] = at + len(data)

    def _undo(self, at: int) -> None:
        try:
            os.ftruncate(self._fd, at)
            os.fdatasync(self._fd)
        except OSError:
            self.broken = True  # a retry could store the group twice: better to stop and say so

    def read(self, number: int, at: int, size: int) -> bytes:
        """Return up to `size` durable bytes of a segment from `at`."""
        end = min(self.sizes[number], at + size)
        if end <= at:
            return b""
        fd = os.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, end - at, at)
        finally:
            os.close(fd)

    def remove(self, number: int) -> None:
        """Delete a segment that is not needed any more."""
        faults.point("spool.remove.begin")
        self.path(number).unlink(missing_ok=True)
        faults.point("spool.remove.done")
        self.sizes.pop(number, None)

    def keep_corrupt(self, number: int) -> None:
        """Keep the damaged segment under corrupt/, too."""
        folder = self._folder("corrupt")
        with contextlib.suppress(FileExistsError):
            (folder / self.path(number).name).hardlink_to(self.path(number))
        faults.point("spool.corrupt.linked")
        _prune(folder)

    def replace(self, number: int, data: bytes) -> None:
        """Put `data` in the place of a segment that is not the last."""
        os.close(self._write_new(self.path(number), data))
        self.sizes[number] = len(data)

    def keep_rejected(self, name: str, frame: bytes) -> None:
        """Keep a frame that the hub refuses."""
        folder = self._folder("rejected")
        path = folder / f"{name}.frame"
        path.write_bytes(frame)
        path.chmod(0o600)
        _prune(folder)

    def _folder(self, name: str) -> Path:
        folder = self.directory / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _sync_directory(self) -> None:
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the files and give up the lock."""
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1


def _write(fd: int, data: bytes, place: str) -> None:
    """Write all of `data`, in two steps so that a test can be killed between them."""
    middle = len(data) // 2
    view = memoryview(data)
    _write_all(fd, view[:middle])
    faults.point(f"{place}.half")
    _write_all(fd, view[middle:])
    faults.point(f"{place}.written")


def _write_all(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]


def _prune(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in files[:-_KEPT]:
        path.unlink(missing_ok=True)
