"""The sender's side of the spool: which frames of a lane come next, read from the segments in order.

Only the beginning of each record is read to see whose it is: the way to an alert behind a gigabyte of
logs is short. What is handed out is read whole, and its checksum compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keelwatch.model.batch import MAX_HEADER, PREFIX, BatchHeader, FrameError
from keelwatch.ship.disk import SegmentFiles
from keelwatch.ship.lanes import Lane, lane_of
from keelwatch.ship.segment import Head, State, read_head, read_record

AHEAD = 8 << 10
"""Bytes read at once while looking for frames."""

_USUAL = 1 << 10  # no prefix and header is longer, as a rule

STEPS = 2000
"""Records looked at in one go: whoever appends waits no longer than that takes."""


class DamagedSegmentError(ValueError):
    """A record that is not the tail of the last segment cannot be read."""

    def __init__(self, number: int) -> None:
        super().__init__(f"segment {number} is damaged")
        self.number = number


@dataclass(slots=True)
class _Taken:
    limit: int
    frames: list[bytes] = field(default_factory=list)
    size: int = 0
    highest: dict[str, int] = field(default_factory=dict)
    steps: int = 0

    def is_enough(self, size: int = 0) -> bool:
        """Whether a frame of `size` more bytes is too much, or it is time for others."""
        return self.steps >= STEPS or (bool(self.frames) and self.size + max(1, size) > self.limit)

    def add(self, header: BatchHeader, frame: bytes) -> None:
        self.frames.append(frame)
        self.size += len(frame)
        self.highest[header.table] = header.seq


class Outlet:
    """Everything of the lane before `_cursor` (segment, byte) is acknowledged.

    `_beyond` is behind what was taken last. `ends` tells what follows behind each segment but the last.
    """

    def __init__(
        self, lane: Lane, files: SegmentFiles, state: State, ends: Mapping[int, Mapping[str, int]]
    ) -> None:
        self._lane = lane
        self._files = files
        self._state = state
        self._ends = ends
        self._highest: dict[str, int] = {}
        self._cursor = self._beyond = (files.numbers[0], 0)
        self.at_end = False  # whether the last `take` has seen everything up to the spool's end

    def rewind(self) -> None:
        """Begin again at the oldest segment."""
        self._cursor = self._beyond = (self._files.numbers[0], 0)
        self._highest = {}

    def forget(self, number: int) -> None:
        """Segment `number` is gone: everything in it was acknowledged."""
        following = (number + 1, 0)
        self._cursor = max(self._cursor, following)
        self._beyond = max(self._beyond, following)

    def take(self, limit: int) -> list[bytes]:
        """Return wanted frames from the cursor on, up to `limit` bytes but at least one.

        None at all only means that there are none when `at_end` is true: else call again.
        """
        taken = _Taken(limit)
        number, at = self._cursor
        for later in [n for n in self._files.numbers if n >= number]:
            at = self._walk(later, at if later == number else 0, taken)
            number = later
            if at < self._files.sizes[number]:
                break
        self.at_end = number == self._files.last and at >= self._files.sizes[number]
        self._beyond, self._highest = (number, at), taken.highest
        if not taken.frames:
            self._cursor = self._beyond  # nothing of the lane lies in between
        return taken.frames

    def _walk(self, number: int, at: int, taken: _Taken) -> int:
        """Take frames of one segment; return where it stopped: the segment's end, or enough is taken."""
        piece = _Piece(self._files, number)
        if self._is_done(number):
            return piece.end
        while at < piece.end and not taken.is_enough():
            head = piece.head(at)
            if head.header is not None and lane_of(head.header.table) == self._lane:
                if taken.is_enough(head.size):
                    break
                frame = piece.frame(at, head.size)  # is it damaged, its header cannot tell that it is old
                if self._is_wanted(head.header):
                    taken.add(head.header, frame)
            taken.steps += 1
            at += head.size
        return at

    def _is_done(self, number: int) -> bool:
        """Whether everything of the lane up to this segment's end is acknowledged."""
        ends = self._ends.get(number)
        return ends is not None and all(
            following - 1 <= self._state.acknowledged.get(table, 0)
            for table, following in ends.items()
            if lane_of(table) == self._lane
        )

    def _is_wanted(self, header: BatchHeader) -> bool:
        acknowledged = self._state.acknowledged.get(header.table, 0)
        return header.seq > acknowledged and (header.table, header.seq) not in self._state.skipped

    def settle(self) -> None:
        """Move on if all that was taken is acknowledged or skipped by now."""
        state = self._state
        if all(
            seq <= state.acknowledged.get(table, 0) or (table, seq) in state.skipped
            for table, seq in self._highest.items()
        ):
            self._cursor = self._beyond
            self._highest = {}


class _Piece:
    """A segment, of which a little is read ahead. Raises DamagedSegmentError for what cannot be read."""

    def __init__(self, files: SegmentFiles, number: int) -> None:
        self._files = files
        self._number = number
        self.end = files.sizes.get(number, 0)
        self._data = b""
        self._at = 0

    def head(self, at: int) -> Head:
        """The beginning of the record at `at`."""
        try:
            head = read_head(self._view(at, _USUAL)) or read_head(self._view(at, PREFIX.size + MAX_HEADER))
        except FrameError as error:
            raise DamagedSegmentError(self._number) from error
        if head is None or at + head.size > self.end:
            raise DamagedSegmentError(self._number)
        return head

    def frame(self, at: int, size: int) -> bytes:
        """The whole record at `at`, intact."""
        ahead = self._data[at - self._at : at - self._at + size]
        data = ahead if len(ahead) == size else self._files.read(self._number, at, size)
        try:
            read_record(memoryview(data), 0)
        except FrameError as error:
            raise DamagedSegmentError(self._number) from error
        return data

    def _view(self, at: int, size: int) -> memoryview:
        """At least `size` bytes from `at` on, unless the segment ends before."""
        held = self._at + len(self._data) - at
        if at < self._at or held < min(size, self.end - at):
            self._data, self._at = self._files.read(self._number, at, max(size, AHEAD)), at
        return memoryview(self._data)[at - self._at :]
