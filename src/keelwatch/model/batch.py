"""A frozen batch, and its bytes: the same on the agent's disk and on the wire.

One batch holds rows of one table and one day, so that the store can write it as one part. It is
named by (spool, table, seq); the hub keeps the highest `seq` per spool and table, and that is what
makes a repeated batch harmless.

    frame  = magic "KWB1" | header length u32 | body length u32 | crc32(header + body) u32 | header | body
    header = JSON object (see BatchHeader), at most MAX_HEADER bytes
    body   = zstd frame over the rows, at most MAX_BODY bytes, at most MAX_RAW when unpacked
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import orjson

TABLES: tuple[str, ...] = ("logs", "events", "alerts", "lifecycle", "gaps")
FORMATS: tuple[str, ...] = ("rows", "chunks")
"""`rows`: JSONEachRow, one object a line. `chunks`: RowBinary rows of model.logchunk (logs only)."""

MAGIC = b"KWB1"
PREFIX = struct.Struct("<4sIII")
MAX_HEADER = 1 << 20
MAX_BODY = 64 << 20
MAX_RAW = 256 << 20


class FrameError(ValueError):
    """The bytes are not a whole, intact frame. `offset` is where the bad frame begins."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(f"{message} at byte {offset}")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """`rows` counts the table rows (lines, for chunks). `day` is ISO 8601, the partition."""

    spool: str
    table: str
    seq: int
    day: str
    rows: int
    format: str
    raw: int
    node: str = ""


def encode_frame(header: BatchHeader, body: bytes) -> bytes:
    """Return the frame of a batch whose rows are already compressed into `body`."""
    head = orjson.dumps(asdict(header))
    if len(head) > MAX_HEADER or len(body) > MAX_BODY:
        raise ValueError(f"batch too large: header {len(head)}, body {len(body)} bytes")
    crc = zlib.crc32(body, zlib.crc32(head))
    return PREFIX.pack(MAGIC, len(head), len(body), crc) + head + body


def decode_frames(data: bytes | memoryview) -> Iterator[tuple[BatchHeader, memoryview]]:
    """Yield (header, body) for each frame in `data`; raise FrameError at the first bad one."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        header, body, at = decode_frame(view, at)
        yield header, body


def decode_frame(view: memoryview, at: int) -> tuple[BatchHeader, memoryview, int]:
    """Return (header, body, offset behind the frame) of the frame at `at`; raise FrameError."""
    if len(view) - at < PREFIX.size:
        raise FrameError("frame cut off in its prefix", at)
    magic, head_size, body_size, crc = PREFIX.unpack_from(view, at)
    if magic != MAGIC:
        raise FrameError("not a frame", at)
    if head_size > MAX_HEADER or body_size > MAX_BODY:
        raise FrameError("frame larger than the limit", at)
    head_at = at + PREFIX.size
    body_at = head_at + head_size
    end = body_at + body_size
    if end > len(view):
        raise FrameError("frame cut off", at)
    if zlib.crc32(view[head_at:end]) != crc:
        raise FrameError("checksum does not match", at)
    return decode_header(bytes(view[head_at:body_at]), at), view[body_at:end], end


def decode_header(head: bytes, at: int = 0) -> BatchHeader:
    """Return the header of the frame that begins at `at`; raise FrameError if it is not understood."""
    try:
        header = BatchHeader(**orjson.loads(head))
    except (TypeError, ValueError) as error:
        raise FrameError(f"header is not understood: {error}", at) from error
    if header.table not in TABLES or header.format not in FORMATS:
        raise FrameError(f"unknown table or format {header.table!r} {header.format!r}", at)
    return header
