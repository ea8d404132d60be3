"""One container's log, read file by file in the order it was written.

A file is kept open from the moment it is seen until it is read to its end, so that neither rotation
nor compression nor the deletion of the pod takes anything away. What does get lost (a file truncated
or deleted before it was read) becomes a gap.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keelwatch.capture.logs.batch import LogTarget
from keelwatch.capture.logs.files import READ_SIZE, LogFile, is_file, whole_fingerprint
from keelwatch.capture.logs.position import Position
from keelwatch.capture.logs.rotation import Blocked, close_all, name_of, open_all, open_copy, open_newer
from keelwatch.decode import cri, jsonfile
from keelwatch.decode.lines import EARLIEST, split_days
from keelwatch.kit import clock
from keelwatch.model.gap import Gap

log = logging.getLogger(__name__)

GRACE = 1.0
"""Seconds without a change after which a rotated file counts as complete: the runtime may write to
it for a moment after the new file has appeared."""

GIVE_UP = 60.0
"""Seconds after which a file that cannot be opened is left out."""

MAX_HELD = 64
"""Files of one stream kept open at most. What is newer stays on the disk until its turn comes."""

MAX_DONE = 8
"""Files read before that a position remembers."""

_DAY = 86_400_000_000_000
_FORMATS = {"cri": cri, "json-file": jsonfile}


@dataclass(slots=True)
class Chunk:
    """`size` bytes read at `offset`, as whole lines by day. The stream's position has moved."""

    offset: int
    size: int
    days: list[tuple[str, bytes]] = field(default_factory=list)


class LogStream:
    """Not thread-safe: the follower's lock guards it."""

    def __init__(self, target: LogTarget, position: Position | None) -> None:
        self.target = target
        self.identity = target.identity
        self.not_before = target.not_before
        self.position = position or Position(str(target.path))
        self.gaps: list[Gap] = []
        self.finished = False
        self.lag = 0  # bytes of the current file that are not read yet
        self._decoder = _FORMATS[target.format]
        self._files: deque[LogFile] = deque()
        self._ending_since: float | None = None
        self._tried = -1  # the file's size when no whole line was found
        self._failed = False  # the current file could not be read, and that is counted
        self._seen = self.position.offset  # the file's size when it was last looked at
        self._looked = (-1, 0.0)  # its size and time of change then
        self._blocked: Blocked | None = None  # the next file, which cannot be opened
        self._blocked_since = 0.0
        self._passed: set[int] = set()  # inodes of files that were given up
        self._put_off: list[str] = []  # fingerprints of files that were closed again, oldest first

    # -- which files ---------------------------------------------------------------------------------

    def hold(self) -> None:
        """Open files that have appeared, so that they cannot be lost; cheap if there are none."""
        path = self.target.path
        if not self._files:
            self._start()
        elif len(self._files) < MAX_HELD and _inode(path) != self._files[-1].inode:
            opened = open_newer(path, self._files, self.position.done, self._passed)
            self._files += opened.files
            self._wait_for(opened.blocked)
            if self._put_off and not opened.blocked:
                self._count_missing(opened.files)
        self._put_off_some()

    def _put_off_some(self) -> None:
        """Close the newest of too many files. They are opened again once those before them are read."""
        put_off = [self._files.pop() for _ in range(len(self._files) - MAX_HELD)]
        self._put_off += [name for file in reversed(put_off) if (name := name_of(file))]
        close_all(put_off)

    def _count_missing(self, opened: Sequence[LogFile]) -> None:
        """Say which of the files that were put off were deleted meanwhile."""
        there = {name_of(file) for file in opened}
        for name in self._put_off:
            if name not in there:
                detail = (
                    f"{self.target.path}: a rotated file was deleted while too many before it were unread"
                )
                self._add_gap("log_vanished", 0, "bytes", detail)
        self._put_off = []

    def _start(self) -> None:
        opened = open_all(self.target.path, self._passed)
        self._files += opened.files
        self._wait_for(opened.blocked)
        if not self._files:
            return
        at = self._locate()
        if at is None and self._blocked:  # it may be the one that was being read
            close_all(self._files)
            self._files.clear()
            return
        if at is None:
            self._note_gone()
            at = self._behind_done()
            self._begin_file(at)
        for _ in range(at):
            self._files.popleft().close()
        self._seen = self.position.offset

    def _wait_for(self, blocked: Blocked | None) -> None:
        """Note the file that cannot be opened; after a while it is counted, and the next may be opened."""
        now = time.monotonic()
        if blocked is None or self._blocked is None or blocked.inode != self._blocked.inode:
            self._blocked, self._blocked_since = blocked, now
            if blocked is not None:
                log.warning("cannot open log %s: %s", blocked.path, blocked.reason)
        elif blocked.inode and now - self._blocked_since > GIVE_UP:
            self._passed.add(blocked.inode)
            self._blocked = None
            detail = f"{blocked.path}: cannot be opened: {blocked.reason}"
            self._add_gap("log_vanished", _size(blocked.path), "bytes", detail)

    def _note_gone(self) -> None:
        position = self.position
        if position.ended or not (position.offset or position.done):
            return
        detail = f"the file that was read to byte {position.offset} is gone; more may be"
        self._add_gap("log_vanished", 0, "bytes", detail)

    def _locate(self) -> int | None:
        """The index of the file to read on, or None if what was read last is not there.

        An inode alone proves nothing: the next file may have got it. So a file of which nothing was
        read yet is found as the one behind those that were.
        """
        position = self.position
        for index, file in enumerate(self._files):
            if position.fingerprint and file.inode == position.inode and is_file(file, position.fingerprint):
                return index
        for index, file in enumerate(self._files):
            if position.fingerprint and is_file(file, position.fingerprint):
                position.inode = file.inode
                return index
        if position.fingerprint:
            return None
        behind = self._behind_done()
        return behind or (None if position.done else 0)

    def _behind_done(self) -> int:
        """The index behind the last file that was read before; 0 if there is none."""
        done = self.position.done
        known = [i for i, file in enumerate(self._files) if any(is_file(file, name) for name in done)]
        return max(known, default=-1) + 1

    # -- reading ---------------------------------------------------------------------------------------

    def end(self) -> None:
        """The container is gone: read to the end, then finish."""
        if self._ending_since is None:
            self._ending_since = time.time()

    def read(self) -> Chunk | None:
        """Read on; None if there is nothing to read now."""
        if not self._files:
            return self._read_nothing()
        try:
            return self._read_file(self._files[0])
        except OSError as error:
            return self._pass_unreadable(error)

    def _read_nothing(self) -> Chunk | None:
        if self._blocked or self._ending_since is None or time.time() - self._ending_since <= GRACE:
            return None
        self._note_gone()
        return self._finish()

    def _pass_unreadable(self, error: OSError) -> Chunk | None:
        """Go on behind a file that cannot be read; the last one is tried again, for it may still grow."""
        if not self._failed:
            self._lose(f"cannot be read: {error}")
        self._failed = True
        if len(self._files) > 1:
            self._advance()
            return Chunk(0, 0)
        return None if self._ending_since is None else self._finish()

    def _read_file(self, file: LogFile) -> Chunk | None:
        position = self.position
        size, changed = file.status()
        if not file.compressed:
            if size < position.offset or self._is_another(file, (size, changed)):
                return self._truncated()
            self._seen, self._looked = size, (size, changed)
            self.lag = size - position.offset
            if size == self._tried and not self._is_complete(file, changed):
                return None
            if size == position.offset:
                return self._at_end(file, changed)
        data = file.read(position.offset)
        if not data:
            return self._at_end(file, changed)
        return self._take(file, data, changed)

    def _is_another(self, file: LogFile, now: tuple[int, float]) -> bool:
        """Whether a file that has changed begins differently: it was truncated and has grown again."""
        return now != self._looked and not is_file(file, self.position.fingerprint)

    def _take(self, file: LogFile, data: bytes, changed: float) -> Chunk | None:
        """Take whole lines from `data`; a last line without an end only if it will never get one."""
        end = data.rfind(b"\n") + 1
        if self.position.continuing is not None:
            return self._take_continued(file, data, changed)
        if end:
            return self._chunk(file, data[:end] if end < len(data) else data, end)
        if len(data) == READ_SIZE:
            self._add_gap("line_too_long", 1, "lines", f"cut into pieces of {READ_SIZE} bytes")
            self.position.continuing = self._decoder.head(data)
            return self._chunk(file, data + b"\n", len(data))
        return self._take_remainder(file, data, b"", changed)

    def _take_continued(self, file: LogFile, data: bytes, changed: float) -> Chunk | None:
        """Take the next piece of a line that is too long."""
        start = self.position.continuing or b""
        end = data.find(b"\n") + 1
        if end:
            self.position.continuing = None
            return self._chunk(file, start + data[:end] if end > 1 else b"", end)
        if len(data) == READ_SIZE:
            return self._chunk(file, start + data + b"\n", len(data))
        return self._take_remainder(file, data, start, changed)

    def _take_remainder(self, file: LogFile, data: bytes, start: bytes, changed: float) -> Chunk | None:
        if not self._is_complete(file, changed):
            self._tried = self.position.offset + len(data)
            return None
        self.position.continuing = None
        return self._chunk(file, start + data + b"\n", len(data))

    def _chunk(self, file: LogFile, lines: bytes, size: int) -> Chunk:
        position = self.position
        chunk = Chunk(position.offset, size)
        if not position.fingerprint:
            position.inode = file.inode
            position.fingerprint = whole_fingerprint(file.head())
        position.offset += size
        position.ended = False
        self._tried = -1
        self._decode(lines, chunk)
        return chunk

    def _decode(self, lines: bytes, chunk: Chunk) -> None:
        position = self.position
        joined = self._decoder.join(lines, position.pending)
        position.pending = joined.pending
        if joined.cut:
            self._add_gap("line_too_long", joined.cut, "lines", "cut into pieces")
        self._split(joined.data, chunk)

    def _split(self, lines: bytes, chunk: Chunk) -> None:
        if not lines:
            return
        now = clock.now()
        today, tomorrow = _day(now), _day(now + _DAY)
        days = split_days(lines, self.position.day or today, self._decoder.day)
        # A day is a partition of the store, so a clock that runs wild must not make them up.
        chunk.days = [(today if day > tomorrow else day, some) for day, some in days]
        self.position.day = chunk.days[-1][0]

    # -- ends ------------------------------------------------------------------------------------------

    def _is_complete(self, file: LogFile, changed: float) -> bool:
        """Whether nothing will be added to the file any more."""
        if len(self._files) == 1 and self._ending_since is None:
            return False
        quiet_since = changed if len(self._files) > 1 else max(changed, self._ending_since or 0.0)
        return file.compressed or time.time() - quiet_since > GRACE

    def _at_end(self, file: LogFile, changed: float) -> Chunk | None:
        if not self._is_complete(file, changed):
            return None
        if len(self._files) > 1:
            self._advance()
            return Chunk(0, 0)
        self.hold()  # a file may have appeared since the last look
        if self._blocked:
            return None
        return self._finish() if len(self._files) == 1 else Chunk(0, 0)

    def _advance(self) -> None:
        """Go on with the next file, at its beginning."""
        self._files.popleft().close()
        self._begin_file()

    def _begin_file(self, index: int = 0) -> None:
        position = self.position
        if position.fingerprint:
            position.done = [*position.done, position.fingerprint][-MAX_DONE:]
        file = self._files[index] if index < len(self._files) else None
        position.inode = file.inode if file else 0
        position.fingerprint = name_of(file) if file else ""
        position.offset, position.continuing = 0, None
        self._tried, self._seen, self._failed = -1, 0, False

    def _finish(self) -> Chunk:
        """Everything is read: let go of the parts that still wait, and of the files."""
        chunk = Chunk(self.position.offset, 0)
        self._split(self._decoder.flush(self.position.pending), chunk)
        self.position.pending = {}
        self.position.ended = True
        self.finished = True
        self.close()
        return chunk

    def _truncated(self) -> Chunk:
        """The file was cut back in place. Perhaps it was copied before: then the copy is read on."""
        position = self.position
        copy = None
        if position.fingerprint:
            copy = open_copy(self.target.path, self._files[0], position.fingerprint)
        if copy is not None:
            self._files.appendleft(copy)
            position.inode = copy.inode
            self._tried, self._seen = -1, position.offset
            return Chunk(position.offset, 0)
        self._lose("truncated; more may have been in it")
        self._begin_file()
        return Chunk(0, 0)

    def _lose(self, why: str) -> None:
        unread = max(0, self._seen - self.position.offset)
        self._add_gap("log_vanished", unread, "bytes", f"{self._files[0].path}: {why}")

    def _add_gap(self, cause: str, amount: int, unit: str, detail: str) -> None:
        now = clock.now()
        self.gaps.append(Gap("logs", cause, now, now, amount, unit, self.identity, detail))

    def close(self) -> None:
        """Close the files."""
        while self._files:
            self._files.popleft().close()


def _day(now: int) -> str:
    return max(clock.day(now), EARLIEST.isoformat())


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except OSError:
        return -1
