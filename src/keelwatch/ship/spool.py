"""The durable spool between the agent and the hub.

In: drafts and read positions, appended as one group with one fsync. Out: frames, each lane's in order,
until the hub has acknowledged them. A kill at any moment leaves either the whole group or nothing of it, so
what is read again from the log files is exactly what was not kept. Numbers are never used twice.

When the spool is full, logs wait (their files stay on disk), events are dropped and counted, and
alerts still have room: each table may fill the spool to its share.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import zstandard

from keelwatch.kit import faults
from keelwatch.model.batch import MAX_RAW, BatchHeader, decode_frame, encode_frame
from keelwatch.model.identity import Identity
from keelwatch.ship.disk import SegmentFiles
from keelwatch.ship.draft import Draft
from keelwatch.ship.freeze import gap_drafts
from keelwatch.ship.lanes import LANES, Lane, lane_of
from keelwatch.ship.losses import Losses
from keelwatch.ship.outlet import DamagedSegmentError, Outlet
from keelwatch.ship.salvage import head, open_last, salvage
from keelwatch.ship.segment import State, encode_commit

log = logging.getLogger(__name__)

SHARES: dict[str, float] = {"logs": 0.80, "events": 0.90, "lifecycle": 0.95, "alerts": 0.97, "gaps": 1.0}
"""How far each table may fill the spool: what matters more still finds room."""

SEGMENT = 16 << 20
"""Bytes at which a new segment is begun. Disk is given back a segment at a time."""

_packer = threading.local()


class SpoolFullError(RuntimeError):
    """Logs find no room now: keep them and come back. `cause` is `spool_full` or `disk_full`."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class Spool:
    """Thread-safe for any number of appenders and one sender for each lane.

    `limit` is in bytes. `identity` is the node's: gaps that the spool itself causes carry it. The
    `node` it had when the spool was made stands in the batches' headers.
    """

    def __init__(self, directory: Path, identity: Identity, limit: int = 1 << 30) -> None:
        self._identity = identity
        self.limit = limit
        self.problem = ""
        self.appended: dict[str, int] = {}  # rows by table since the start
        self._segment_size = max(1 << 16, min(SEGMENT, limit // 16))
        self._changed = threading.Condition(threading.RLock())
        self._wakings = 0
        self._seen: dict[Lane, int] = {}  # how much there was when a lane was looked through
        self._losses = Losses(identity)
        self._files = SegmentFiles(directory)
        self._state = open_last(self._files, self._losses) or self._begin()
        self._state.node = self._state.node or identity.node
        if self._state.node != identity.node:
            log.warning("this node was %s when %s was made; to the hub the spool stays that node's",
                        self._state.node, directory)  # fmt: skip
        self._known = dict(self._state.following)  # how far the numbers went when it was opened
        self._ends = self._find_ends()
        self._outlets = {lane: Outlet(lane, self._files, self._state, self._ends) for lane in LANES}
        self.flush()

    def _begin(self) -> State:
        state = State(spool=str(uuid.uuid4()), node=self._identity.node)
        self._files.create(max(self._files.numbers, default=0) + 1, encode_commit(state.snapshot()))
        return state

    def _find_ends(self) -> dict[int, dict[str, int]]:
        """What follows behind each segment but the last: the head of the next one says it."""
        numbers = self._files.numbers
        return {
            number: _or_else(head(self._files, after), self._state.following)
            for number, after in pairwise(numbers)
        }

    @property
    def id(self) -> str:
        """The spool's name for life."""
        return self._state.spool

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._files.total

    @property
    def losses(self) -> dict[tuple[str, str], int]:
        """What was lost since the start, by (table, cause)."""
        return dict(self._losses.total)

    @property
    def waiting(self) -> dict[str, int]:
        """Batches by table that the hub has not acknowledged."""
        with self._changed:
            acknowledged = self._state.acknowledged
            return {t: n - 1 - acknowledged.get(t, 0) for t, n in self._state.following.items()}

    def checkpoints(self) -> dict[str, Any]:
        """The latest read position per log stream."""
        with self._changed:
            return dict(self._state.checkpoints)

    def has_room(self, table: str, size: int = 0) -> bool:
        """Whether `size` more bytes of a table fit into its share."""
        return self._files.total + size <= self.limit * SHARES[table]

    # -- appending ---------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft], checkpoints: Mapping[str, Any] | None = None) -> None:
        """Make drafts and read positions durable, all together.

        Raises SpoolFullError if there are logs or read positions among them and no room; then nothing
        was kept. Other tables are dropped, and counted as a gap, when there is no room.
        """
        packed = [(draft, _compress(draft)) for draft in drafts]
        with self._changed:
            admitted = [(draft, body) for draft, body in packed if self._admit(draft, len(body))]
            try:
                self._append(admitted, checkpoints or {})
            except OSError as error:
                self._on_disk_error(error, [draft for draft, _ in admitted], bool(checkpoints))
            else:
                self.problem = ""
            self._changed.notify_all()

    def flush(self) -> None:
        """Write down losses that wait for it, if there are any and there is room."""
        self.append([])

    def note_loss(self, what: str, cause: str, amount: int, unit: str = "rows", detail: str = "") -> None:
        """Count a loss; it becomes a gap with the next append."""
        with self._changed:
            self._losses.add(what, cause, amount, unit, detail)

    def _admit(self, draft: Draft, size: int) -> bool:
        if self.has_room(draft.table, size):
            return True
        if draft.table == "logs":
            raise SpoolFullError("spool_full", f"the spool has reached the logs' share of {self.limit} bytes")
        self._losses.add(draft.table, "spool_full", draft.rows)
        return False

    def _on_disk_error(self, error: OSError, drafts: Sequence[Draft], must_keep: bool) -> None:
        message = f"cannot write to the spool {self._files.directory}: {error.strerror or error}"
        if message != self.problem:
            log.error("%s", message)
        self.problem = message
        if must_keep or any(draft.table == "logs" for draft in drafts):
            raise SpoolFullError("disk_full", message) from error
        for draft in drafts:
            self._losses.add(draft.table, "disk_full", draft.rows, detail=message)

    def _append(self, packed: list[tuple[Draft, bytes]], checkpoints: Mapping[str, Any]) -> None:
        gaps = self._losses.gaps() if self.has_room("gaps") else []
        packed = packed + [(draft, _compress(draft)) for draft in gap_drafts(gaps)]
        if not packed and not checkpoints:
            return
        if self._files.sizes[self._files.last] >= self._segment_size:
            self._roll()
        following = dict(self._state.following)
        frames = [self._freeze(draft, body, following) for draft, body in packed]
        commit = {**self._state.progress(), "following": following, "checkpoints": checkpoints}
        self._files.append(b"".join([*frames, encode_commit(commit)]))
        self._state.following = following
        self._state.update_checkpoints(checkpoints)
        for draft, _ in packed:
            self.appended[draft.table] = self.appended.get(draft.table, 0) + draft.rows
        if gaps:
            self._losses.settle()

    def _freeze(self, draft: Draft, body: bytes, following: dict[str, int]) -> bytes:
        seq = following.get(draft.table, 1)
        following[draft.table] = seq + 1
        node = self._state.node
        size = draft.size
        header = BatchHeader(self.id, draft.table, seq, draft.day, draft.rows, draft.format, size, node)
        return encode_frame(header, body)

    def _roll(self) -> None:
        """Begin a new segment; the old ones go once they are acknowledged."""
        full = self._files.last
        self._files.create(full + 1, encode_commit(self._state.snapshot()))
        self._ends[full] = dict(self._state.following)
        self._reclaim()

    # -- sending -----------------------------------------------------------------------------------

    def wait(self, timeout: float, lane: Lane) -> None:
        """Sleep until a lane has more than `pending` has seen, `wake` is called, or `timeout` seconds."""
        with self._changed:
            woken = self._wakings
            self._changed.wait_for(
                lambda: self._wakings != woken or self._made(lane) != self._seen.get(lane), timeout
            )

    def wake(self) -> None:
        """End all waits now."""
        with self._changed:
            self._wakings += 1
            self._changed.notify_all()

    def _made(self, lane: Lane) -> int:
        """A number that grows with each batch of a lane."""
        return sum(number for table, number in self._state.following.items() if lane_of(table) == lane)

    def pending(self, limit: int, lane: Lane) -> list[bytes]:
        """Return frames of a lane that the hub has not acknowledged: up to `limit` bytes, at least one.

        Those of a table are in order. Repeats itself until `acknowledge` moves on. A damaged segment
        is set aside here and reported as a gap; what is intact in it still goes out.
        """
        outlet = self._outlets[lane]
        while True:
            with self._changed:  # let go of in between, for those who append
                try:
                    frames = outlet.take(limit)
                except DamagedSegmentError as error:
                    self._salvage(error.number)
                    continue
                if frames or outlet.at_end:
                    self._seen[lane] = self._made(lane)
                    return frames

    def _salvage(self, number: int) -> None:
        following = self._ends.get(number, self._state.following)
        salvage(self._files, number, self._state, following, self._losses, lambda: self._append([], {}))
        for outlet in self._outlets.values():
            outlet.rewind()

    def resume(self, stored: Mapping[str, int]) -> None:
        """Take over what the hub has stored; to be called before anything is sent.

        A hub that has more than this spool ever made means that the spool's disk went back in time.
        Batches made since then under the same numbers are lost; that is counted, and numbers move on.
        """
        with self._changed:
            following = self._state.following
            for table, seq in stored.items():
                known = self._known.get(table, 1)
                if seq < known:
                    continue
                lost = max(0, min(seq + 1, following.get(table, 1)) - known)
                detail = f"the hub has batches up to {seq}, the spool only knew of {known - 1}"
                if lost:
                    self._losses.add(table, "spool_corrupt", lost, "batches", detail)
                following[table] = max(following.get(table, 1), seq + 1)
            self.acknowledge(stored)

    def acknowledge(self, stored: Mapping[str, int]) -> None:
        """Note the highest sequence number per table that the hub has stored. Gives back disk space."""
        with self._changed:
            state = self._state
            for table, seq in stored.items():
                highest = min(seq, state.following.get(table, 1) - 1)
                state.acknowledged[table] = max(state.acknowledged.get(table, 0), highest)
            self._settle()

    def reject(self, frame: bytes, reason: str) -> None:
        """Set aside a frame that the hub will never accept, and count it."""
        header, _, _ = decode_frame(memoryview(frame), 0)
        with self._changed:
            self._files.keep_rejected(f"{header.table}-{header.seq}", frame)
            self._state.skipped.add((header.table, header.seq))
            if header.table != "gaps":  # a gap about a refused gap would be refused, too, for ever
                self._losses.add(header.table, "rejected", header.rows, "rows", reason)
            self._settle()
            self.flush()

    def _settle(self) -> None:
        acknowledged = self._state.acknowledged
        for table, seq in sorted(self._state.skipped):
            if acknowledged.get(table, 0) == seq - 1:
                acknowledged[table] = seq
            if acknowledged.get(table, 0) >= seq:
                self._state.skipped.discard((table, seq))
        for outlet in self._outlets.values():
            outlet.settle()
        self._reclaim()
        self._changed.notify_all()

    def _reclaim(self) -> None:
        for number in self._files.numbers[:-1]:
            if any(n - 1 > self._state.acknowledged.get(t, 0) for t, n in self._ends[number].items()):
                break
            faults.point("spool.reclaim")
            self._files.remove(number)
            self._ends.pop(number, None)
            for outlet in self._outlets.values():
                outlet.forget(number)

    def close(self) -> None:
        """Close the files; what was appended is durable already."""
        with self._changed:
            self._files.close()


def _or_else(found: dict[str, int] | None, fallback: Mapping[str, int]) -> dict[str, int]:
    return dict(fallback) if found is None else found


def _compress(draft: Draft) -> bytes:
    if draft.size > MAX_RAW:
        raise ValueError(f"draft of {draft.size} bytes is larger than {MAX_RAW}")
    if not hasattr(_packer, "zstd"):
        _packer.zstd = zstandard.ZstdCompressor(level=1)  # a compressor must not be shared by threads
    stream = _packer.zstd.compressobj(size=draft.size)
    return b"".join([*map(stream.compress, draft.pieces), stream.flush()])
