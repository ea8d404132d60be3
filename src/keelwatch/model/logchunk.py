"""Log lines travel as chunks: raw bytes of a container's log file, with one identity.

Python never touches a line; the hub's column engine splits and parses. A chunk is one row of
ClickHouse's RowBinary format with the columns of STRUCTURE.
"""

from __future__ import annotations

import struct

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


def encode_chunk(line_format: str, first_row: int, offset: int, identity: Identity, chunk: bytes) -> bytes:
    """Return one RowBinary row. No identity breaks it: numbers are cut, text that is no UTF-8 escaped."""
    parts = [_string(line_format.encode()), struct.pack("<IQ", first_row, offset)]
    for name in IDENTITY_COLUMNS:
        value = getattr(identity, name)
        parts.append(_u32(value) if name == "restart" else _string(_utf8(value)))
    parts.append(_string(chunk))
    return b"".join(parts)


def _u32(value: int) -> bytes:
    return struct.pack("<I", max(0, min(value, 0xFFFFFFFF)))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _string(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
