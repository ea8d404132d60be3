"""Many batches as few files, which the embedded engine reads in one go.

Each file costs the engine milliseconds, however little is in it, and a hub of many agents gets hundreds
of small batches a second (docs/decisions/0015-bundles.md). So the batches of a group are written behind
each other, and each record is stamped with what it was not allowed to say itself: whose it is.

No batch can take records of another one with it, however it was made: chunks are walked through here,
and as each batch of rows begins with `{"spool_"`, which nothing that was left open in the one before it
can go on with, the engine refuses the whole. So it does with a record that has no stamp, or two.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson
from zstandard import ZstdDecompressor, ZstdError

from keelwatch.model.batch import MAX_RAW
from keelwatch.model.logchunk import encode_string, split_chunks
from keelwatch.store.database import Insertion, Source, UnreadableError

STAMP = "spool_ LowCardinality(String), seq_ UInt64, node_ LowCardinality(String), begin_ UInt64"
"""The columns in front of each record: of whom it is, and the index in its file of its batch's first one."""

_ENOUGH = 4 << 20
"""Bytes of a file, or one batch more: the engine reads files side by side."""
_BLOCK = 1 << 20
_NUMBER = struct.Struct("<Q")


@contextmanager
def bundled(insertion: Insertion) -> Iterator[str]:
    """Yield the glob of files with all batches' stamped records; raise UnreadableError for what is none."""
    folder, name = insertion.sources[0].path.parent, secrets.token_hex(8)
    write = _write_chunks if insertion.format == "chunks" else _write_rows
    waiting = list(insertion.sources)
    paths: list[Path] = []
    try:
        while waiting or not paths:
            paths.append(folder / f"{name}.{len(paths)}.bundle")
            with paths[-1].open("wb") as file:
                begin = 0
                while waiting and file.tell() < _ENOUGH:
                    begin += write(file, waiting.pop(0), begin)
        yield f"{folder}/{name}.{{{','.join(map(str, range(len(paths))))}}}.bundle"
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _write_rows(file: BinaryIO, source: Source, begin: int) -> int:
    """Write one object a line, with the stamp as its first members; return how many there are."""
    data = _unpacked(source)
    if not data:
        return 0
    if not data.startswith(b"{"):
        raise UnreadableError("a row is not an object")
    members = {"spool_": source.spool, "seq_": source.seq, "node_": source.node, "begin_": begin}
    stamp = orjson.dumps(members)[:-1] + b","
    file.write(stamp)
    file.write(data[1:].replace(b"\n{", b"\n" + stamp))
    file.write(b"\n")
    return data.count(b"\n{") + 1


def _write_chunks(file: BinaryIO, source: Source, begin: int) -> int:
    """Write each chunk with the stamp before it; return how many there are."""
    spool, node = encode_string(source.spool.encode()), encode_string(source.node.encode())
    stamp = b"".join((spool, _NUMBER.pack(source.seq), node, _NUMBER.pack(begin)))
    count = 0
    try:
        for chunk in split_chunks(_unpacked(source)):
            file.write(stamp)
            file.write(chunk)
            count += 1
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    return count


def _unpacked(source: Source) -> bytes:
    """The records of a batch; raise UnreadableError if they are not zstd, or too many."""
    left = MAX_RAW
    blocks: list[bytes] = []
    try:
        with source.path.open("rb") as file:
            reader = ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while block := reader.read(_BLOCK):
                blocks.append(block)
                left -= len(block)
                if left < 0:
                    raise UnreadableError(f"the body unpacks to more than {MAX_RAW} bytes")
    except ZstdError as error:
        raise UnreadableError(f"the body is not zstd: {error}") from error
    return b"".join(blocks)
