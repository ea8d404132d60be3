"""Bodies made to be read as something else when they lie next to others: nothing of a neighbour changes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
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
FORGED = (
    orjson.dumps(
        {"spool_": "victim", "seq_": 77, "node_": "node-v", "begin_": 0, "what": "forged", "node": "node-v"}
    )
    + b"\n"
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
    "an empty object behind": ROW.strip() + b" {}\n",
    "one that closes early": b'{"what":"x"}{"what":"y"}\n',
    "one behind a carriage return": ROW.strip() + b"\r" + ROW,
    "one behind a line feed and a blank": ROW + b" " + FORGED,
    "a forged one behind": ROW.strip() + FORGED,
    "a forged one behind a comma": ROW.strip() + b"," + FORGED,
    "a forged one, and one too few": b'{"what":"x","x":[\n{"y":1}]}' + FORGED,
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


def test_stamps_of_the_senders_own_mean_nothing(clean: EmbeddedDatabase, tmp_path: Path) -> None:
    mine = source(tmp_path, FORGED.replace(b"node-v", b"node-a"))
    clean.insert(insertion(mine))
    assert clean.lookup("SELECT spool, seq FROM gaps") == [{"spool": "good", "seq": mine.seq}]


def test_names_of_the_stamp_are_known_to_nobody_before(tmp_path: Path) -> None:
    mine = insertion(source(tmp_path, ROW))
    with bundled(mine) as one, bundled(mine) as other:
        names = {one.spool, one.seq, one.node, one.begin, other.spool, other.seq, other.node, other.begin}
    assert len({name.partition("_")[2] for name in names}) == 8
    assert min(len(name.partition("_")[2]) for name in names) == 16


@pytest.mark.parametrize("megabytes", [2, 64])
def test_stamps_cannot_fill_the_disk(tmp_path: Path, megabytes: int) -> None:
    mine = source(tmp_path, b"{" + b"\n{" * (megabytes << 19), "s" * 128)
    mine = replace(mine, size=megabytes << 21)
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="too small"), bundled(insertion(mine)):
        pass
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()
    assert not list(tmp_path.glob("*.bundle"))


def test_a_body_cannot_be_larger_than_it_says(tmp_path: Path) -> None:
    mine = replace(source(tmp_path, ROW * 100), size=100 * len(ROW) - 1)
    with pytest.raises(UnreadableError, match="unpacks to more"), bundled(insertion(mine)):
        pass


def test_there_are_not_too_many_chunks(tmp_path: Path) -> None:
    mine = source(tmp_path, bytes(4 << 20))
    with (
        pytest.raises(UnreadableError, match="more than 100000 chunks"),
        bundled(replace(insertion(mine), format="chunks")),
    ):
        pass


def test_lines_that_end_with_a_block_are_stamped(clean: EmbeddedDatabase, tmp_path: Path) -> None:
    """Rows of such a length that a block of the reader ends before, behind and in a line's end."""
    for length in (64, 128, 127, 1000):
        row = orjson.dumps({"what": "events", "detail": ""}) + b"\n"
        row = orjson.dumps({"what": "events", "detail": "x" * (length - len(row))}) + b"\n"
        assert len(row) == length
        mine = source(tmp_path, row * 5000, f"of-{length}", 5000)
        clean.insert(insertion(mine, source(tmp_path, ROW, f"behind-{length}")))
        found = "SELECT count() AS n, max(row) AS last FROM gaps WHERE spool = {spool:String}"
        assert clean.lookup(found, {"spool": mine.spool}) == [{"n": 5000, "last": 4999}]


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
