"""The files of one log in the order they were written, found while the runtime rotates them.

Kubelet: 0.log → 0.log.20260101-120000 → 0.log.20260101-120000.gz (kubernetes pkg/kubelet/logs).
Docker: X-json.log → X-json.log.1 → X-json.log.2, with `compress` .gz from .1 on.

A file may be renamed, compressed or deleted between the listing of the folder and the opening of the
file. So what was opened must have the inode that was listed; otherwise all is done again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from keelwatch.capture.logs.files import LogFile, fingerprint, is_file, open_log

log = logging.getLogger(__name__)

_ATTEMPTS = 10
_NUMBERED = re.compile(r"\d{1,4}")


class _ChangedError(Exception):
    """The folder changed while its files were being opened."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it stood in the folder."""

    path: Path
    inode: int


def listing(path: Path) -> list[Entry]:
    """The files of the log written to `path`, oldest first; a plain file hides its compressed copy.

    Symbolic links and special files are left out: the folder may be writable for a container.
    """
    found: dict[str, Entry] = {}
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            stem = entry.name.removesuffix(".gz")
            if not _belongs(path.name, stem) or not entry.is_file(follow_symlinks=False):
                continue
            if stem not in found or stem == entry.name:
                found[stem] = Entry(path.parent / entry.name, entry.inode())
    return [found[stem] for stem in sorted(found, key=lambda stem: _age(stem[len(path.name) :]))]


def _belongs(name: str, stem: str) -> bool:
    return stem == name or (stem.startswith((f"{name}.", f"{name}-")) and not stem.endswith(".tmp"))


def _age(suffix: str) -> tuple[int, int, str]:
    """Sort key, oldest first: Docker's numbers fall with time, time stamps rise, no suffix is newest."""
    if not suffix:
        return (2, 0, "")
    if _NUMBERED.fullmatch(suffix[1:]):
        return (0, -int(suffix[1:]), "")
    return (1, 0, suffix)


def open_all(path: Path) -> list[LogFile]:
    """Open all files of the log, oldest first."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(_ChangedError):
            return _open(listing(path))
    return []


def open_newer(path: Path, held: Sequence[LogFile], done: Collection[str]) -> list[LogFile]:
    """Open the files written after the last one held. `done` are fingerprints of files read before."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(_ChangedError):
            entries = listing(path)
            at = _index(entries, held[-1])
            if at is not None:
                return _open(entries[at + 1 :])
            return _unknown(_open(entries), held, done)  # ours was deleted: what is left is newer
    return []


def open_copy(path: Path, original: LogFile, expected: str) -> LogFile | None:
    """Open another file of the log that begins as `expected` says: a copy made before truncation."""
    copy = None
    for file in open_all(path):
        if copy is None and file.inode != original.inode and is_file(file, expected):
            copy = file
        else:
            file.close()
    return copy


def _open(entries: Sequence[Entry]) -> list[LogFile]:
    files: list[LogFile] = []
    for entry in entries:
        try:
            file = open_log(entry.path)
        except FileNotFoundError:
            close_all(files)
            raise _ChangedError from None
        except OSError as error:
            log.warning("cannot open log %s: %s", entry.path, error)
            continue
        files.append(file)
        if file.inode != entry.inode:
            close_all(files)
            raise _ChangedError
    return files


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
    files = _open([entry])
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
