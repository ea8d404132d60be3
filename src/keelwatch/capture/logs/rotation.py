"""The files of one log in the order they were written, found while the runtime rotates them.

Kubelet: 0.log → 0.log.20260101-120000 → 0.log.20260101-120000.gz (kubernetes pkg/kubelet/logs).
Docker: X-json.log → X-json.log.1 → X-json.log.2, with `compress` .gz from .1 on.

A file may be renamed, compressed or deleted between the listing of the folder and the opening of the
file. So what was opened must have the inode that was listed; otherwise all is done again. A large folder
is not even listed in one moment: a file renamed from its end to its beginning meanwhile is in neither.
So only a listing that comes out the same twice is believed.

A file that cannot be opened now (too many open files, a bad disk) stops the opening: the later ones
must not be read before it. The stream tries again, and says when it goes on without.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keelwatch.capture.logs.files import LogFile, fingerprint, is_file, open_log

_ATTEMPTS = 10
_GONE = (FileNotFoundError, NotADirectoryError)
_NUMBERED = re.compile(r"\d{1,4}")


class _ChangedError(Exception):
    """The folder changed while its files were being opened."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it stood in the folder."""

    path: Path
    inode: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """A file that is there but cannot be opened; `inode` is 0 for the folder."""

    path: Path
    inode: int
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Files in the order they were written, up to the one that could not be opened."""

    files: list[LogFile] = field(default_factory=list)
    blocked: Blocked | None = None


def listing(path: Path) -> list[Entry]:
    """The files of the log written to `path`, oldest first; a plain file hides its compressed copy.

    A folder that is not there has no files; OSError if it is but cannot be read.
    Symbolic links and special files are left out: the folder may be writable for a container.
    """
    found: dict[str, Entry] = {}
    with contextlib.suppress(*_GONE), os.scandir(path.parent) as entries:
        for entry in entries:
            stem = entry.name.removesuffix(".gz")
            if not _belongs(path.name, stem) or not entry.is_file(follow_symlinks=False):
                continue
            if stem not in found or stem == entry.name:
                found[stem] = Entry(path.parent / entry.name, entry.inode())
    return [found[stem] for stem in sorted(found, key=lambda stem: _age(stem[len(path.name) :]))]


def is_gone(path: Path) -> bool:
    """Whether there is surely no file of the log any more."""
    try:
        return not listing(path)
    except OSError:
        return False


def _belongs(name: str, stem: str) -> bool:
    return stem == name or (stem.startswith((f"{name}.", f"{name}-")) and not stem.endswith(".tmp"))


def _age(suffix: str) -> tuple[int, int, str]:
    """Sort key, oldest first: Docker's numbers fall with time, time stamps rise, no suffix is newest."""
    if not suffix:
        return (2, 0, "")
    if _NUMBERED.fullmatch(suffix[1:]):
        return (0, -int(suffix[1:]), "")
    return (1, 0, suffix)


def open_all(path: Path, passed: Collection[int] = ()) -> Opened:
    """Open all files of the log, oldest first, but for those whose inode is in `passed`."""
    return _again(lambda: _open(_entries(path, passed)), path)


def open_newer(
    path: Path, held: Sequence[LogFile], done: Collection[str], passed: Collection[int] = ()
) -> Opened:
    """Open the files written after the last one held. `done` are fingerprints of files read before."""

    def attempt() -> Opened:
        entries = _entries(path, passed)
        at = _index(entries, held[-1])
        if at is not None:
            return _open(entries[at + 1 :])
        opened = _open(entries)  # ours was deleted: what is left is newer
        return Opened(_unknown(opened.files, held, done), opened.blocked)

    return _again(attempt, path)


def open_copy(path: Path, original: LogFile, expected: str) -> LogFile | None:
    """Open another file of the log that begins as `expected` says: a copy made before truncation."""
    copy = None
    for file in open_all(path).files:
        if copy is None and file.inode != original.inode and is_file(file, expected):
            copy = file
        else:
            file.close()
    return copy


def _again(attempt: Callable[[], Opened], path: Path) -> Opened:
    """Try until the folder did not change meanwhile."""
    for _ in range(_ATTEMPTS):
        try:
            return attempt()
        except _ChangedError:
            continue
        except OSError as error:
            return Opened(blocked=Blocked(path.parent, 0, error.strerror or str(error)))
    return Opened()


def _entries(path: Path, passed: Collection[int]) -> list[Entry]:
    found = listing(path)
    if found != listing(path):
        raise _ChangedError
    return [entry for entry in found if entry.inode not in passed]


def _open(entries: Sequence[Entry]) -> Opened:
    files: list[LogFile] = []
    for entry in entries:
        try:
            files.append(open_log(entry.path))
        except OSError as error:
            if _is_another(error):
                close_all(files)
                raise _ChangedError from None
            return Opened(files, Blocked(entry.path, entry.inode, error.strerror or str(error)))
        if files[-1].inode != entry.inode:
            close_all(files)
            raise _ChangedError
    return Opened(files)


def _is_another(error: OSError) -> bool:
    """Whether the name stands for nothing, or for something else than the regular file that was listed."""
    return isinstance(error, _GONE) or error.errno in (None, errno.ELOOP, errno.ENXIO)


def _index(entries: Sequence[Entry], file: LogFile) -> int | None:
    """Where `file` stands in the listing: by inode, or as its compressed copy."""
    for index, entry in enumerate(entries):
        if entry.inode == file.inode:
            return index
    name = name_of(file)
    for index, entry in enumerate(entries):
        if name and entry.path.suffix == ".gz" and _begins(entry, name):
            return index
    return None


def _begins(entry: Entry, expected: str) -> bool:
    files = _open([entry]).files
    same = any(is_file(file, expected) for file in files)
    close_all(files)
    return same


def _unknown(files: Sequence[LogFile], held: Sequence[LogFile], done: Collection[str]) -> list[LogFile]:
    inodes = {file.inode for file in held}
    names = {*done, *(name_of(file) for file in held)} - {""}
    unknown = [file for file in files if file.inode not in inodes and name_of(file) not in names]
    close_all([file for file in files if file not in unknown])
    return unknown


def name_of(file: LogFile) -> str:
    """The file's fingerprint, "" if it has none yet or cannot be read."""
    try:
        return fingerprint(file.head())
    except OSError:
        return ""


def close_all(files: Sequence[LogFile]) -> None:
    """Close files that are not wanted."""
    for file in files:
        file.close()
