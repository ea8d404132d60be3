"""The layout of a spool segment, and reading one back. Pure: bytes in, records out.

    segment = commit (a snapshot) { group }
    group   = { frame } commit
    commit  = magic "KWC1" | length u32 | crc32 u32 | zstd of a JSON object

Frames are those of model.batch. A group is written at once and counts only with its commit, which
carries the read positions that are true with it: so frames and positions become durable together.
The snapshot at the head makes older segments unnecessary once they are acknowledged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import zstandard

from keelwatch.model.batch import (
    MAGIC,
    MAX_BODY,
    MAX_HEADER,
    PREFIX,
    BatchHeader,
    FrameError,
    decode_frame,
    decode_header,
)

COMMIT_MAGIC = b"KWC1"
_COMMIT = struct.Struct("<4sII")
MAX_COMMIT = 256 << 20


@dataclass(slots=True)
class State:
    """What a spool must remember. `following` and `acknowledged` are by table.

    `node` is the node's name when the spool was made. The hub takes a spool's batches from that node
    only, so a machine that is renamed keeps the old name in their headers (not in its records).
    """

    spool: str
    following: dict[str, int] = field(default_factory=dict)  # the next sequence number
    acknowledged: dict[str, int] = field(default_factory=dict)
    skipped: set[tuple[str, int]] = field(default_factory=set)  # refused by the hub for ever
    checkpoints: dict[str, Any] = field(default_factory=dict)
    node: str = ""

    def snapshot(self) -> dict[str, Any]:
        """All of it, as the head of a segment carries it."""
        return {**self.progress(), "checkpoints": self.checkpoints}

    def progress(self) -> dict[str, Any]:
        """What every commit repeats."""
        return {
            "spool": self.spool,
            "node": self.node,
            "following": self.following,
            "acknowledged": self.acknowledged,
            "skipped": [list(name) for name in sorted(self.skipped)],
        }

    def absorb(self, commit: Mapping[str, Any]) -> None:
        """Take over what a commit says; a checkpoint of None is forgotten."""
        self.spool = self.spool or str(commit.get("spool", ""))
        self.node = self.node or str(commit.get("node", ""))
        _raise_to(self.following, commit.get("following", {}))
        _raise_to(self.acknowledged, commit.get("acknowledged", {}))
        self.skipped = {(table, seq) for table, seq in commit.get("skipped", [])}
        self.update_checkpoints(commit.get("checkpoints", {}))

    def update_checkpoints(self, changed: Mapping[str, Any]) -> None:
        """Merge read positions; None removes one."""
        for name, value in changed.items():
            if value is None:
                self.checkpoints.pop(name, None)
            else:
                self.checkpoints[name] = value


def _raise_to(numbers: dict[str, int], other: Mapping[str, int]) -> None:
    for table, number in other.items():
        numbers[table] = max(numbers.get(table, 0), number)


@dataclass(frozen=True, slots=True)
class Record:
    """One frame (`header` is set) or one commit (`commit` is set) at bytes [at, end) of a segment."""

    at: int
    end: int
    header: BatchHeader | None = None
    commit: dict[str, Any] | None = None


@dataclass(slots=True)
class Scan:
    """A whole segment read back. `end` is behind the last commit; `damage` lies before it."""

    records: list[Record] = field(default_factory=list)
    damage: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0
    lost: list[BatchHeader] = field(default_factory=list)  # headers that can be read of damaged frames

    def headers(self) -> list[BatchHeader]:
        """Headers of the frames that are intact."""
        return [record.header for record in self.records if record.header is not None]

    def commits(self) -> list[dict[str, Any]]:
        """The commits, oldest first."""
        return [record.commit for record in self.records if record.commit is not None]


def encode_commit(state: Mapping[str, Any]) -> bytes:
    """Return the bytes of a commit."""
    body = zstandard.ZstdCompressor(level=1).compress(orjson.dumps(state))
    return _COMMIT.pack(COMMIT_MAGIC, len(body), zlib.crc32(body)) + body


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a record: its size in bytes and, for a frame, its header. No checksum was compared."""

    size: int
    header: BatchHeader | None = None


def read_head(view: memoryview) -> Head | None:
    """Read the beginning of the record at the start of `view`; None if `view` is too short for that.

    Raises FrameError if it is no record.
    """
    if bytes(view[:4]) == COMMIT_MAGIC:
        return Head(_COMMIT.size + int(_COMMIT.unpack_from(view)[1])) if len(view) >= _COMMIT.size else None
    if len(view) < PREFIX.size:
        return None
    magic, head, body, _ = PREFIX.unpack_from(view)
    if magic != MAGIC or head > MAX_HEADER or body > MAX_BODY:
        raise FrameError("not a record", 0)
    end = PREFIX.size + int(head)
    if len(view) < end:
        return None
    header = decode_header(bytes(view[PREFIX.size : end]))
    if not isinstance(header.seq, int):
        raise FrameError("the number is none", 0)
    return Head(end + int(body), header)


def read_record(view: memoryview, at: int) -> Record:
    """Return the record at `at`; raise FrameError if it is not whole and intact."""
    if bytes(view[at : at + 4]) != COMMIT_MAGIC:
        header, _, end = decode_frame(view, at)
        return Record(at, end, header=header)
    if len(view) - at < _COMMIT.size:
        raise FrameError("commit cut off in its prefix", at)
    _, size, crc = _COMMIT.unpack_from(view, at)
    end = at + _COMMIT.size + size
    if size > MAX_COMMIT or end > len(view):
        raise FrameError("commit cut off", at)
    body = view[at + _COMMIT.size : end]
    if zlib.crc32(body) != crc:
        raise FrameError("checksum of the commit does not match", at)
    return Record(at, end, commit=_decode_commit(body, at))


def _decode_commit(body: memoryview, at: int) -> dict[str, Any]:
    try:
        commit = orjson.loads(zstandard.ZstdDecompressor().decompress(body, max_output_size=MAX_COMMIT))
    except (zstandard.ZstdError, ValueError) as error:
        raise FrameError(f"commit is not understood: {error}", at) from error
    if not isinstance(commit, dict):
        raise FrameError("commit is not an object", at)
    return commit


def scan(data: bytes, spool: str = "") -> Scan:
    """Read a whole segment, stepping over damage.

    What follows the last commit was never durable and is left out. Damage before it is skipped up
    to the next intact record of this `spool` (if empty: of the one that the first commit names).
    """
    found = Scan()
    view = memoryview(data)
    lost: list[tuple[int, int]] = []
    at = 0
    while at < len(view):
        try:
            record = _read_own(view, at, spool)
        except FrameError:
            end = _next_magic(data, at + 1)
            lost.append((at, end))
            at = end
            continue
        found.records.append(record)
        at = record.end
        if record.commit is not None:
            found.end = at
            spool = spool or _spool_of(record)
    _leave_out(found, lost, data, spool)
    return found


def _read_own(view: memoryview, at: int, spool: str) -> Record:
    """Read a record; one of another spool may be log text that looks like a frame."""
    record = read_record(view, at)
    if spool and _spool_of(record) != spool:
        raise FrameError("a record of another spool", at)
    return record


def _spool_of(record: Record) -> str:
    if record.header is not None:
        return record.header.spool
    return str(record.commit.get("spool", "")) if record.commit else ""


def _next_magic(data: bytes, at: int) -> int:
    places = [place for magic in (MAGIC, COMMIT_MAGIC) if (place := data.find(magic, at)) >= 0]
    return min(places, default=len(data))


def _leave_out(found: Scan, lost: list[tuple[int, int]], data: bytes, spool: str) -> None:
    """Leave out the tail, and what was read before it was known which spool this is."""
    found.records = [r for r in found.records if r.end <= found.end and _spool_of(r) == spool]
    found.damage = [piece for piece in lost if piece[0] < found.end]
    headers = [_header_at(data, at) for at, _ in found.damage]
    found.lost = [header for header in headers if header is not None]


def _header_at(data: bytes, at: int) -> BatchHeader | None:
    """The header of the damaged frame at `at`, if it can still be read."""
    if data[at : at + 4] != MAGIC or len(data) - at < PREFIX.size:
        return None
    start = at + PREFIX.size
    size = PREFIX.unpack_from(data, at)[1]
    try:
        return BatchHeader(**orjson.loads(data[start : start + size]))
    except (ValueError, TypeError):
        return None
