"""The sender's side of the spool: which frames come next, read from the segments in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from keelwatch.model.batch import BatchHeader, FrameError
from keelwatch.ship.disk import SegmentFiles
from keelwatch.ship.segment import State, read_record, record_size


class DamagedSegmentError(ValueError):
    """A record that is not the tail of the last segment cannot be read."""

    def __init__(self, number: int) -> None:
        super().__init__(f"segment {number} is damaged")
        self.number = number


@dataclass(slots=True)
class _Taken:
    frames: list[bytes] = field(default_factory=list)
    size: int = 0
    highest: dict[str, int] = field(default_factory=dict)


class Outlet:
    """Everything before `_cursor` (segment, byte) is acknowledged; `_beyond` is behind what was taken."""

    def __init__(self, files: SegmentFiles, state: State) -> None:
        self._files = files
        self._state = state
        self._cursor = self._beyond = (files.numbers[0], 0)
        self._highest: dict[str, int] = {}

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
        """Return wanted frames from the cursor on, up to `limit` bytes but at least one."""
        taken = _Taken()
        number, at = self._cursor
        while True:
            at = self._take_from(number, at, limit, taken)
            if at < self._files.sizes.get(number, 0):
                break
            later = [n for n in self._files.numbers if n > number]
            if not later:
                break
            number, at = later[0], 0
        self._beyond, self._highest = (number, at), taken.highest
        return taken.frames

    def _take_from(self, number: int, at: int, limit: int, taken: _Taken) -> int:
        """Take frames of one segment; return where it stopped: the segment's end, or the limit."""
        end = self._files.sizes.get(number, 0)
        while at < end and taken.size < limit:
            data = self._files.read(number, at, max(limit - taken.size, 1 << 16))
            stopped = self._take_records(data, limit, taken)
            if stopped == 0:
                stopped = self._take_one(number, at, data, limit, taken)
            if stopped == 0:
                break
            at += stopped
        return at

    def _take_records(self, data: bytes, limit: int, taken: _Taken) -> int:
        """Take the whole records at the start of `data`; return their bytes."""
        view = memoryview(data)
        at = 0
        while at < len(view):
            try:
                record = read_record(view, at)
            except FrameError:
                break
            if record.header is not None and self._is_wanted(record.header):
                if taken.frames and taken.size + record.end - record.at > limit:
                    taken.size = limit
                    break
                taken.frames.append(data[record.at : record.end])
                taken.size += record.end - record.at
                taken.highest[record.header.table] = record.header.seq
            at = record.end
        return at

    def _take_one(self, number: int, at: int, data: bytes, limit: int, taken: _Taken) -> int:
        """The first record of `data` was not taken: it is over the limit, longer than `data`, or damaged."""
        if taken.size >= limit:
            return 0
        size = record_size(memoryview(data))
        if len(data) < size <= self._files.sizes[number] - at:
            if taken.frames:
                taken.size = limit
                return 0
            data = self._files.read(number, at, size)
            if stopped := self._take_records(data, limit, taken):
                return stopped
        raise DamagedSegmentError(number)

    def _is_wanted(self, header: BatchHeader) -> bool:
        if header.seq <= self._state.acknowledged.get(header.table, 0):
            return False
        return (header.table, header.seq) not in self._state.skipped

    def settle(self) -> None:
        """Move on if all that was taken is acknowledged or skipped by now."""
        state = self._state
        if all(
            seq <= state.acknowledged.get(table, 0) or (table, seq) in state.skipped
            for table, seq in self._highest.items()
        ):
            self._cursor = self._beyond
            self._highest = {}
