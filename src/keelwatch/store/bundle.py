"""Many batches as few files, which the embedded engine reads in one go.

Each file costs the engine milliseconds, however little is in it, and a hub of many agents gets hundreds
of small batches a second (docs/decisions/0015-bundles.md). So the batches of a group are written behind
each other, and each record is stamped with what it was not allowed to say itself: whose it is.

No batch can take records of another one with it, or make some of another's, however it was made:

- the stamp's columns have names that nobody knows before, so a record that was not stamped here has none,
  which is an error (two objects on a line, say);
- each batch of rows begins with a stamp, and nothing that was left open before it can go on with one;
- chunks are walked through here, so a batch ends where a chunk ends.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
from zstandard import ZstdDecompressor, ZstdError

from keelwatch.model.logchunk import encode_string, split_chunks
from keelwatch.store.database import Insertion, Source, UnreadableError

_ENOUGH = 4 << 20
"""Bytes of a file, or one batch more: the engine reads files side by side."""
_BLOCK = 64 << 10
_MAX_CHUNKS = 100_000
_SPARE = 1 << 20
_NUMBER = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Bundle:
    """`files` is a glob. The columns of the stamp stand in front of each record's own.

    `begin` is the index in its file of the first record of the batch.
    """

    files: str
    spool: str
    seq: str
    node: str
    begin: str

    @property
    def structure(self) -> str:
        """The stamp's columns."""
        text = "LowCardinality(String)"
        return f"{self.spool} {text}, {self.seq} UInt64, {self.node} {text}, {self.begin} UInt64"


@contextmanager
def bundled(insertion: Insertion) -> Iterator[Bundle]:
    """Yield all batches as files; raise UnreadableError for a batch that is not what it says."""
    folder, name = insertion.sources[0].path.parent, secrets.token_hex(8)
    columns = (f"{column}_{secrets.token_hex(8)}" for column in ("spool", "seq", "node", "begin"))
    bundle = Bundle(f"{folder}/{name}.*.bundle", *columns)
    write = _write_chunks if insertion.format == "chunks" else _write_rows
    waiting = list(insertion.sources)
    paths: list[Path] = []
    try:
        while waiting or not paths:
            paths.append(folder / f"{name}.{len(paths)}.bundle")
            with paths[-1].open("wb") as file:
                begin = 0
                while waiting and file.tell() < _ENOUGH:
                    begin += write(file, bundle, waiting.pop(0), begin)
        yield bundle
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _write_rows(file: BinaryIO, bundle: Bundle, source: Source, begin: int) -> int:
    """Write one object a line, with the stamp as its first members; return how many there are."""
    members = (bundle.spool, source.spool), (bundle.seq, source.seq), (bundle.node, source.node)
    stamp = orjson.dumps({**dict(members), bundle.begin: begin})[:-1] + b","
    count, held = 0, b"\n"  # as if another batch had just ended: what begins a line gets a stamp
    for block in _unpacked(source):
        if not count and not block.startswith(b"{"):
            raise UnreadableError("a row is not an object")
        data = held + block
        held = data[-1:] if data.endswith(b"\n") else b""
        data = data[: len(data) - len(held)]
        count += data.count(b"\n{")
        _bound(source, count, len(stamp))
        file.write(data.replace(b"\n{", b"\n" + stamp))
    file.write(b"\n")
    return count


def _write_chunks(file: BinaryIO, bundle: Bundle, source: Source, begin: int) -> int:
    """Write each chunk with the stamp before it; return how many there are."""
    del bundle  # chunks have no names
    spool, node = encode_string(source.spool.encode()), encode_string(source.node.encode())
    stamp = b"".join((spool, _NUMBER.pack(source.seq), node, _NUMBER.pack(begin)))
    count = 0
    try:
        for chunk in split_chunks(b"".join(_unpacked(source))):
            count += 1
            if count > _MAX_CHUNKS:
                raise UnreadableError(f"there are more than {_MAX_CHUNKS} chunks")
            file.write(stamp)
            file.write(chunk)
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    return count


def _bound(source: Source, count: int, stamp: int) -> None:
    """Raise UnreadableError if most of what would be written were stamps."""
    if count * stamp > 2 * source.size + _SPARE:
        raise UnreadableError("the rows are too small")


def _unpacked(source: Source) -> Iterator[bytes]:
    """Yield the records of a batch; raise UnreadableError if they are not zstd, or more than was said."""
    left = source.size
    try:
        with source.path.open("rb") as file:
            reader = ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while block := reader.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise UnreadableError(f"the body unpacks to more than {source.size} bytes")
                yield block
    except ZstdError as error:
        raise UnreadableError(f"the body is not zstd: {error}") from error
