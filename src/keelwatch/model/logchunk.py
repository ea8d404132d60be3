"""Log lines travel as chunks: raw bytes of a container's log file, with one identity.

Python never touches a line; the hub's column engine splits and parses. A chunk is one row of
ClickHouse's RowBinary format with the columns of STRUCTURE.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from keelwatch.model.identity import IDENTITY_COLUMNS, Identity

LINE_FORMATS: tuple[str, ...] = ("cri", "json-file")
"""`cri`: `<RFC3339Nano> <stdout|stderr> F <message>`; `json-file`: Docker's {"log","stream","time"}."""


def _type_of(column: str) -> str:
    return "UInt32" if column == "restart" else "String"


STRUCTURE: str = ", ".join(
    ["format String", "first_row UInt32", "offset UInt64"]
    + [f"{name} {_type_of(name)}" for name in IDENTITY_COLUMNS]
    + ["chunk String"]
)
"""The RowBinary columns. `first_row` is the index in its batch of the chunk's first line, `offset`
the byte offset of the chunk in its log file. A chunk ends behind a newline and holds whole lines of
one calendar day (UTC); parts of lines that the runtime split are already joined."""

_SIZES = {"UInt32": 4, "UInt64": 8}
_KINDS = tuple(column.split()[1] for column in STRUCTURE.split(", "))


def encode_chunk(line_format: str, first_row: int, offset: int, identity: Identity, chunk: bytes) -> bytes:
    """Return one RowBinary row. No identity breaks it: numbers are cut, text that is no UTF-8 escaped."""
    parts = [encode_string(line_format.encode()), struct.pack("<IQ", first_row, offset)]
    for name in IDENTITY_COLUMNS:
        value = getattr(identity, name)
        parts.append(_u32(value) if name == "restart" else encode_string(_utf8(value)))
    parts.append(encode_string(chunk))
    return b"".join(parts)


def split_chunks(data: bytes) -> Iterator[memoryview]:
    """Yield each row of a body; raise ValueError if it does not end where a row ends."""
    view = memoryview(data)
    begin = 0
    while begin < len(view):
        end = begin
        for kind in _KINDS:
            if size := _SIZES.get(kind):
                end += size
            else:
                length, end = _length(view, end)
                end += length
        if end > len(view):
            raise ValueError(f"the chunk at byte {begin} is cut off")
        yield view[begin:end]
        begin = end


def _length(view: memoryview, at: int) -> tuple[int, int]:
    """Decode a String's length at `at`; return it and where the bytes begin."""
    number = 0
    for shift in range(0, 64, 7):
        if at >= len(view):
            raise ValueError(f"a length is cut off at byte {at}")
        number |= (view[at] & 0x7F) << shift
        at += 1
        if view[at - 1] < 0x80:
            return number, at
    raise ValueError(f"a length is too long at byte {at}")


def _u32(value: int) -> bytes:
    return struct.pack("<I", max(0, min(value, 0xFFFFFFFF)))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def encode_string(value: bytes) -> bytes:
    """RowBinary's String: its length, seven bits a byte, and its bytes."""
    return _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
