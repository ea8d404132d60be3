"""Log files, plain or compressed, recognised by their first line whatever their name and inode."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import zlib
from pathlib import Path

READ_SIZE = 1 << 20
"""Bytes read at once; a line that does not fit is handed on in pieces."""

_HEAD = 256
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LogFile:
    """An open log file. It stays readable when it is renamed or deleted."""

    compressed = False

    def __init__(self, path: Path) -> None:
        """Open `path`; OSError if it is not there, a symbolic link, or no regular file."""
        self.path = path
        self._fd = os.open(path, _FLAGS)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise OSError(f"{path} is not a regular file")
        self.inode = status.st_ino

    def status(self) -> tuple[int, float]:
        """Return (size in bytes, time of last change in seconds since the epoch)."""
        status = os.fstat(self._fd)
        return status.st_size, status.st_mtime

    def read(self, offset: int) -> bytes:
        """Return up to READ_SIZE bytes from `offset`, empty at the end."""
        return os.pread(self._fd, READ_SIZE, offset)

    def head(self, size: int = _HEAD) -> bytes:
        """The first bytes."""
        return os.pread(self._fd, size, 0)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


class CompressedLogFile(LogFile):
    """A rotated file that was compressed. It does not change any more; offsets are uncompressed."""

    compressed = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._stream = gzip.GzipFile(fileobj=os.fdopen(os.dup(self._fd), "rb"))
        self._buffer = b""
        self._at = 0  # offset of the buffer

    def read(self, offset: int) -> bytes:
        """As for a plain file; going back further than the last read costs unpacking from the start."""
        if not self._at <= offset <= self._at + len(self._buffer):
            self._stream.seek(offset)
            self._buffer = b""
        else:
            self._buffer = self._buffer[offset - self._at :]
        self._at = offset
        try:
            self._buffer += self._stream.read(READ_SIZE - len(self._buffer))
        except (EOFError, zlib.error) as error:
            raise OSError(f"{self.path}: {error}") from error
        return self._buffer

    def head(self, size: int = _HEAD) -> bytes:
        """The first bytes, unpacked."""
        try:
            return zlib.decompressobj(wbits=31).decompress(os.pread(self._fd, 1 << 16, 0), size)
        except zlib.error as error:
            raise OSError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
        super().close()


def open_log(path: Path) -> LogFile:
    """Open a plain or compressed log file."""
    return CompressedLogFile(path) if path.suffix == ".gz" else LogFile(path)


def fingerprint(head: bytes) -> str:
    """Name a file by its first line (at most 256 bytes of it): `<length>:<hash>`; "" if none is whole."""
    end = head.find(b"\n", 0, _HEAD) + 1 or (_HEAD if len(head) >= _HEAD else 0)
    return _named(head, end) if end else ""


def whole_fingerprint(head: bytes) -> str:
    """Name a file that ends without a newline by all it has."""
    return fingerprint(head) or _named(head, min(len(head), _HEAD))


def is_file(file: LogFile, expected: str) -> bool:
    """Whether the file begins as `expected` says, if it says anything. False if it cannot be read."""
    try:
        return not expected or has_fingerprint(file, expected)
    except OSError:
        return False


def _named(head: bytes, length: int) -> str:
    return f"{length}:{hashlib.blake2b(head[:length], digest_size=12).hexdigest()}"


def has_fingerprint(file: LogFile, expected: str) -> bool:
    """Whether the file begins as `expected` says. A file too short to tell does not."""
    length = int(expected.partition(":")[0])
    head = file.head(length + 1)
    if len(head) < length or _named(head, length) != expected:
        return False
    # The name of a file that ended in the middle of its first line must not fit a longer one.
    return len(head) == length or length == _HEAD or head[length - 1 : length] == b"\n"
