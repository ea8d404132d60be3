"""Bodies made to be read as something else when they lie next to others: nothing of a neighbour changes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import orjson
import pytest
from zstandard import compress

from keelwatch.model.identity import Identity
from keelwatch.model.logchunk import encode_chunk, split_chunks
from keelwatch.store.bundle import bundled
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.database import Insertion, Source, StoreError, UnreadableError
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate

DAY = "2026-01-15"
ROW = (
    orjson.dumps({"time": 1768435200000000000, "what": "events", "cause": "decode", "node": "node-a"}) + b"\n"
)
numbers = count(1)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedDatabase]:
    found = EmbeddedDatabase(tmp_path_factory.mktemp("bundle") / "store")
    migrate(found, EMBEDDED)
    yield found
    found.close()


@pytest.fixture
def clean(database: EmbeddedDatabase) -> Iterator[EmbeddedDatabase]:
    yield database
    database.execute("TRUNCATE TABLE gaps")


def source(folder: Path, body: bytes, spool: str = "good", rows: int = 1) -> Source:
    number = next(numbers)
    path = folder / f"{spool}~{number}~x.zst"
    path.write_bytes(compress(body))
    return Source(path, spool, number, rows, "node-a")


def insertion(*sources: Source) -> Insertion:
    return Insertion("gaps", "rows", DAY, sources, 0)


HOSTILE = {
    "an object left open": b'{"what":"events","x":',
    "an array left open": b'{"what":"events","x":[',
    "a string left open": b'{"what":"events","detail":"',
    "a list around all": b"[" + ROW.strip() + b"]",
    "two objects on a line": ROW.strip() + ROW,
    "a comma between": ROW.strip() + b"," + ROW,
    "an object on lines of its own": b'{"what":"events","x":[\n{"y":1}]}\n',
    "an indented object": ROW + b" " + ROW,
    "a row before its stamp": b" " + ROW,
    "an own stamp": b'{"spool_":"good","seq_":1,"begin_":0,"what":"events"}\n',
    "an own stamp behind": b'{"what":"events","spool_":"good"}\n',
    "an empty object": b"{}\n",
    "no JSON": b"\xff\xfe\n",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_rows_cannot_reach_into_another_batch(clean: EmbeddedDatabase, tmp_path: Path, body: bytes) -> None:
    before, bad, after = (
        source(tmp_path, ROW),
        source(tmp_path, body, "bad"),
        source(tmp_path, ROW * 2, rows=2),
    )
    with pytest.raises(StoreError):
        clean.insert(insertion(before, bad, after))
    assert clean.lookup("SELECT count() AS n FROM gaps") == [{"n": 0}], "a part of the group is stored"
    clean.insert(insertion(before, after))
    rows = clean.lookup("SELECT spool, seq, row FROM gaps ORDER BY seq, row")
    assert [(r["spool"], r["seq"], r["row"]) for r in rows] == [
        ("good", before.seq, 0), ("good", after.seq, 0), ("good", after.seq, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("opening", [b'{"x":', b'{"x":[', b'{"x":"', b'{"x":{"y":', b'{"x":[1,'])
@pytest.mark.parametrize("ending", [b'{"y":1}}', b'{"y":1}]}', b'{"y":"}"}', b'{}"}', b'{"y":1}}}'])
def test_two_batches_cannot_close_round_a_third(
    clean: EmbeddedDatabase, tmp_path: Path, opening: bytes, ending: bytes
) -> None:
    """The second fills the batch between them, as a member, an item, or text."""
    parts = [source(tmp_path, opening, "bad"), source(tmp_path, ROW), source(tmp_path, ending + b"\n", "bad")]
    with pytest.raises(StoreError):
        clean.insert(insertion(*parts))
    assert clean.lookup("SELECT count() AS n FROM gaps") == [{"n": 0}]


def test_an_announced_column_of_the_stamp_is_not_the_origin(clean: EmbeddedDatabase, tmp_path: Path) -> None:
    row = b'{"what":"events","spool":"other","seq":99,"row":7,"day":"2001-01-01"}\n'
    mine = source(tmp_path, row)
    clean.insert(insertion(mine))
    (found,) = clean.lookup("SELECT spool, seq, row, toString(day) AS day FROM gaps")
    assert found == {"spool": "good", "seq": mine.seq, "row": 0, "day": DAY}


def test_a_body_of_several_zstd_frames_is_read_to_its_end(clean: EmbeddedDatabase, tmp_path: Path) -> None:
    mine = source(tmp_path, ROW, rows=2)
    mine.path.write_bytes(compress(ROW) + compress(ROW))
    clean.insert(insertion(mine))
    assert clean.lookup("SELECT max(row) AS last FROM gaps") == [{"last": 1}]


def test_a_body_that_is_not_zstd_is_the_batchs_fault(tmp_path: Path) -> None:
    mine = source(tmp_path, ROW)
    mine.path.write_bytes(b"no zstd at all")
    with pytest.raises(UnreadableError) as caught, bundled(insertion(mine)):
        pass
    assert caught.value.code == 117
    assert not list(tmp_path.glob("*.bundle"))


def test_chunks_are_split_where_they_were_joined() -> None:
    identity = Identity(namespace="shop", pod="é" * 200)
    chunks = [
        encode_chunk("cri", n, n, identity, b"x" * size) for n, size in enumerate((0, 1, 127, 128, 70_000))
    ]
    assert [bytes(chunk) for chunk in split_chunks(b"".join(chunks))] == chunks


@pytest.mark.parametrize("body", [b"\x03cr", b"\x80" * 12, b"\xff\xff\xff\xff\x7f", b"\x00" * 5])
def test_what_is_no_chunk_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|too long"):
        list(split_chunks(body))
