"""One file of an audit log, read piece by piece, and how to find it again after its name has changed."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from keelwatch.ingest.auth import write_private

PIECE = 1 << 20
MAX_LINE = 16 << 20
HEAD = 1024
COMPRESSED = ".gz"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read. An inode is used again, so the file's head is compared, too.

    `head` is the SHA-256 of its first `head_bytes` bytes, `read_until` when it was read last (ns).
    """

    device: int
    inode: int
    offset: int
    head: str
    head_bytes: int
    read_until: int

    def find(self, path: Path) -> LogFile | None:
        """The file, whatever it is called now; None if it is gone."""
        for candidate in files_of(path):
            state = candidate.stat()
            if (state.st_dev, state.st_ino) != (self.device, self.inode):
                continue
            found = LogFile.open(candidate)
            if found.head(self.head_bytes) == self.head:
                found.offset = self.offset
                return found
            found.close()
        return None


class LogFile:
    """An open file; it stays readable when it is renamed or deleted."""

    def __init__(self, path: Path, file: BinaryIO, descriptor: int) -> None:
        self.path = path
        self.offset = 0
        self.too_long = False  # whether what was read last is part of a line longer than MAX_LINE
        self._file = file
        self._descriptor = descriptor
        self._next = 0

    @classmethod
    def open(cls, path: Path) -> LogFile:
        """Open from the beginning; raise OSError."""
        plain = path.open("rb")
        if path.suffix == COMPRESSED:
            return cls(path, cast(BinaryIO, gzip.open(plain)), plain.fileno())
        return cls(path, plain, plain.fileno())

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def read(self) -> bytes:
        """Whole lines from where reading stands; b"" where none is complete. `advance` goes behind them."""
        size = PIECE
        while True:
            self._file.seek(self.offset)
            found = self._file.read(size)
            end = found.rfind(b"\n") + 1
            if end or len(found) < size:
                self._next = self.offset + end
                self.too_long = False
                return found[:end]
            if size >= MAX_LINE:
                return self._skip(found)
            size *= 4

    def _skip(self, found: bytes) -> bytes:
        """A piece of a line that is too long. The rest of it will not be a line either, and is told so."""
        self.too_long = True
        self._next = self.offset + len(found)
        return found

    def rest(self) -> bytes:
        """What stands behind the last whole line."""
        self._file.seek(self.offset)
        return self._file.read(MAX_LINE)

    def take_rest(self) -> bytes:
        """As `rest`, and `advance` goes behind it: nobody will end that line any more."""
        found = self.rest()
        self._next = self.offset + len(found)
        return found

    def advance(self) -> None:
        """What was read is stored."""
        self.offset = self._next

    def restart(self) -> None:
        """Read from the beginning."""
        self.offset = self._next = 0

    def behind(self) -> int:
        """Bytes that are not read yet; 0 for a compressed file, whose real size is not known."""
        if self.path.suffix == COMPRESSED:
            return 0
        return max(0, os.fstat(self._descriptor).st_size - self.offset)

    def was_cut(self) -> bool:
        """Whether the file is shorter than what was read of it."""
        if self.path.suffix == COMPRESSED:
            return False
        return os.fstat(self._descriptor).st_size < self.offset

    def replaced_by(self, path: Path) -> bool:
        """Whether `path` is another file now."""
        try:
            return not os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False  # between the renaming and the new file

    def modified(self) -> int:
        """When it was changed last, nanoseconds."""
        return os.fstat(self._descriptor).st_mtime_ns

    def same(self, path: Path) -> bool:
        """Whether `path` is this file."""
        return os.path.samestat(path.stat(), os.fstat(self._descriptor))

    def head(self, size: int) -> str:
        """The SHA-256 of the first bytes."""
        self._file.seek(0)
        return hashlib.sha256(self._file.read(size)).hexdigest()

    def position(self) -> Position:
        """Where reading stands, to find it again."""
        state = os.fstat(self._descriptor)
        size = min(self.offset, HEAD)
        return Position(state.st_dev, state.st_ino, self.offset, self.head(size), size, time.time_ns())


def files_of(path: Path) -> list[Path]:
    """The files that `path` was rotated to, oldest first, and itself. Their names end in their time."""
    pattern = f"{path.stem}-*{path.suffix}"
    rotated = [*path.parent.glob(pattern), *path.parent.glob(pattern + COMPRESSED)]
    return [*sorted(rotated, key=lambda one: one.name), *([path] if path.exists() else [])]


def successor(path: Path, file: LogFile) -> Path | None:
    """The file that was begun behind this one; None when this one is not there any more."""
    candidates = files_of(path)
    at = next((index for index, one in enumerate(candidates) if file.same(one)), None)
    return candidates[at + 1] if at is not None and at + 1 < len(candidates) else None


def newer_than(path: Path, since: int) -> Path:
    """The oldest file that was written to behind a time: what it repeats is known by its name."""
    newer = [one for one in files_of(path) if one.stat().st_mtime_ns >= since]
    return newer[0] if newer else path


def load_position(path: Path) -> Position | None:
    """What was kept; None if nothing was."""
    return Position(**orjson.loads(path.read_bytes())) if path.exists() else None


def save_position(path: Path, position: Position) -> None:
    """Keep a position, whole or not at all."""
    write_private(path, orjson.dumps(asdict(position)))
