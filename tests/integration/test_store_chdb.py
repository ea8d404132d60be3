"""The real engine: one insertion is one part, every line is stored, values come back as they went in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keelwatch.model.batch import TABLES
from keelwatch.model.logchunk import encode_chunk
from keelwatch.store.chdb import EmbeddedDatabase, Limits
from keelwatch.store.database import (
    QUERY_TOO_LARGE,
    QUERY_TOO_LONG,
    Insertion,
    SchemaError,
    Source,
    StoreError,
)
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate, migrations
from tests.hub_support import DAY, IDENTITY, compress, line

MIDNIGHT = 1_768_435_200_000_000_000  # of DAY


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedDatabase]:
    """One engine for the module: a process can open only one store."""
    limits = Limits(query_seconds=2, query_memory=200_000_000)
    found = EmbeddedDatabase(tmp_path_factory.mktemp("chdb") / "store", limits)
    migrate(found, EMBEDDED)
    yield found
    found.close()


@pytest.fixture
def logs(database: EmbeddedDatabase, tmp_path: Path) -> Iterator[LogStore]:
    yield LogStore(database, tmp_path)
    database.execute("TRUNCATE TABLE logs")


class LogStore:
    """Stores chunks and reads them back."""

    def __init__(self, database: EmbeddedDatabase, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.seq = 0

    def source(self, chunk: bytes, kind: str = "cri") -> Source:
        self.seq += 1
        path = self.folder / f"spool-1~{self.seq}~x.zst"
        path.write_bytes(compress(encode_chunk(kind, 0, 0, IDENTITY, chunk)))
        return Source(path, "spool-1", self.seq, chunk.count(b"\n"))

    def store(self, *chunks: bytes, kind: str = "cri") -> None:
        sources = [self.source(chunk, kind) for chunk in chunks]
        self.database.insert(Insertion("logs", "chunks", DAY, sources, MIDNIGHT))

    def lines(self) -> list[tuple[str, str, str]]:
        rows = self.database.query("SELECT time, stream, message FROM logs ORDER BY seq, row")
        return [(row["time"].removeprefix(f"{DAY}T"), row["stream"], row["message"]) for row in rows]

    def parts(self) -> int:
        rows = self.database.query(
            "SELECT count() AS parts FROM system.parts WHERE table = 'logs' AND active AND rows > 0"
        )
        return int(rows[0]["parts"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("T10:00:00.123456789Z stdout F hello", ("10:00:00.123456789Z", "stdout", "hello")),
        ("T10:00:00.5Z stderr F two  blanks ", ("10:00:00.500000000Z", "stderr", "two  blanks ")),
        ("T10:00:00Z stdout P part", ("10:00:00.000000000Z", "stdout", "part")),
        ("T10:00:00Z stdout F ", ("10:00:00.000000000Z", "stdout", "")),
        ("T10:00:00.25+02:00 stdout F east", ("08:00:00.250000000Z", "stdout", "east")),
        ("T10:00:00.25-05:30 stderr F west", ("15:30:00.250000000Z", "stderr", "west")),
        ("T10:00:00Z stdout F 日本 \x1b[31m\ttab", ("10:00:00.000000000Z", "stdout", "日本 \x1b[31m\ttab")),
    ],
)
def test_lines_of_the_runtime(logs: LogStore, text: str, wanted: tuple[str, str, str]) -> None:
    logs.store(f"{DAY}{text}\n".encode())
    assert logs.lines() == [wanted]


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "",
        " ",
        "Z stdout F x",
        "1999999999Z stdout F x",
        f"{DAY}T10:00:00Z stdin F x",
        f"{DAY}T10:00:00Z stdout X x",
        f"{DAY}T10:00:00 stdout F x",
        f"{DAY}Tab:cd:efZ stdout F x",
        "x" * 100_000,
    ],
)
def test_other_lines_are_kept_as_they_are(logs: LogStore, text: str) -> None:
    good = f"{DAY}T10:00:07Z stdout F good\n"
    logs.store(f"{good}{text}\n{good}".encode())
    assert logs.lines()[1] == ("10:00:07.000000000Z", "", text)
    assert len(logs.lines()) == 3


def test_binary_lines_are_stored_byte_for_byte(logs: LogStore) -> None:
    binary = bytes(range(256)).replace(b"\n", b"")
    logs.store(b"2026-01-15T10:00:00Z stdout F " + binary + b"\n" + binary + b"\n")
    rows = logs.database.query("SELECT hex(message) AS hex FROM logs ORDER BY row")
    assert [bytes.fromhex(row["hex"]) for row in rows] == [binary, binary]


def test_a_zone_that_changes_within_a_chunk(logs: LogStore) -> None:
    logs.store(f"{DAY}T00:59:59Z stdout F winter\n{DAY}T02:00:00+01:00 stdout F summer\n".encode())
    assert logs.lines() == [
        ("00:59:59.000000000Z", "stdout", "winter"),
        ("01:00:00.000000000Z", "stdout", "summer"),
    ]


def test_json_file(logs: LogStore) -> None:
    logs.store(
        b'{"log":"plain\\n","stream":"stdout","time":"2026-01-15T10:00:00.1234Z"}\n'
        b'{"log":"\\u001b[1m \\"q\\" \\u65e5\\n","stream":"stderr","time":"2026-01-15T10:00:01Z","a":1}\n'
        b'{"log":"no newline","stream":"stdout","time":"2026-01-15T10:00:02Z"}\n'
        b"not json\n"
        b'{"a":1}\n',
        kind="json-file",
    )
    assert logs.lines() == [
        ("10:00:00.123400000Z", "stdout", "plain"),
        ("10:00:01.000000000Z", "stderr", '\x1b[1m "q" 日'),
        ("10:00:02.000000000Z", "stdout", "no newline"),
        ("10:00:00.000000000Z", "", "not json"),
        ("10:00:00.000000000Z", "", '{"a":1}'),
    ]


def test_a_chunk_without_any_valid_line_gets_the_batch_day(logs: LogStore) -> None:
    logs.store(b"one\ntwo\n")
    assert [item[0] for item in logs.lines()] == ["00:00:00.000000000Z"] * 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunk=st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), min_size=1, max_size=20)
)
def test_any_bytes_are_as_many_rows_as_lines(logs: LogStore, chunk: list[bytes]) -> None:
    logs.database.execute("TRUNCATE TABLE logs")
    logs.store(b"".join(text + b"\n" for text in chunk))
    rows = logs.database.query("SELECT hex(message) AS hex, stream FROM logs ORDER BY row")
    if chunk == [b""]:
        assert [row["hex"] for row in rows] == [""]
        return
    assert [bytes.fromhex(row["hex"]) for row in rows] == chunk


def test_many_batches_are_one_part(logs: LogStore) -> None:
    logs.store(*(b"".join(line(n * 100 + m) for m in range(100)) for n in range(50)))
    assert logs.parts() == 1
    rows = logs.database.query("SELECT uniqExact(spool, seq, row) AS names, count() AS rows FROM logs")
    assert rows == [{"names": 5000, "rows": 5000}]


@pytest.mark.parametrize("megabytes", [50, 250])
def test_many_megabytes_are_one_part(logs: LogStore, megabytes: int) -> None:
    """With the limits a hub has: short of memory, the engine must not write a group in two."""
    chunk = b"".join(line(n, " payload" * 20) for n in range(5_000))
    chunks = [chunk] * (megabytes * 1_000_000 // len(chunk))
    logs.store(*chunks)
    assert logs.parts() == 1
    assert logs.database.query("SELECT count() AS rows FROM logs")[0]["rows"] == 5_000 * len(chunks)


def test_an_unreadable_batch_stores_nothing_of_its_group(logs: LogStore) -> None:
    good = logs.source(line(1))
    bad = logs.source(line(2))
    bad.path.write_bytes(compress(encode_chunk("cri", 0, 0, IDENTITY, line(2))[:-3]))
    insertion = Insertion("logs", "chunks", DAY, [good, bad], MIDNIGHT)
    with pytest.raises(StoreError):
        logs.database.insert(insertion)
    with pytest.raises(StoreError):
        logs.database.readable(replace(insertion, sources=[bad]))
    logs.database.readable(replace(insertion, sources=[good]))
    assert logs.lines() == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_parameters_come_back_as_they_went_in(database: EmbeddedDatabase, text: str) -> None:
    row = database.query(
        "SELECT {one:String} AS one, {many:Array(String)} AS many", {"one": text, "many": (text, "b")}
    )[0]
    assert row == {"one": text, "many": [text, "b"]}


def test_queries_are_bounded_and_cannot_write(database: EmbeddedDatabase) -> None:
    with pytest.raises(StoreError) as slow:
        database.query("SELECT sum(cityHash64(number)) FROM numbers(1000000000000)")
    assert slow.value.code == QUERY_TOO_LONG
    with pytest.raises(StoreError) as large:
        database.query("SELECT length(groupArray(number)) FROM numbers(1000000000)")
    assert large.value.code == QUERY_TOO_LARGE
    with pytest.raises(StoreError, match=r"not supported|readonly"):
        database.query("INSERT INTO gaps (what) VALUES ('x')")


def test_a_stream_that_is_given_up_frees_its_connection(database: EmbeddedDatabase) -> None:
    for _ in range(Limits().readers + 2):
        stream = database.lines("SELECT number FROM numbers(100000000)")
        next(stream)
        stream.close()
    assert database.query("SELECT 1 AS one") == [{"one": 1}]


def test_migrations_are_run_once_and_a_newer_store_is_refused(database: EmbeddedDatabase) -> None:
    assert migrate(database, EMBEDDED) == migrations()[-1].number
    found = {
        row["name"]
        for row in database.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    }
    assert set(TABLES) <= found
    database.execute("INSERT INTO schema_migrations (number, name) VALUES (9000, 'future')")
    try:
        with pytest.raises(SchemaError, match="9000"):
            migrate(database, EMBEDDED)
    finally:
        database.execute(
            "ALTER TABLE schema_migrations DELETE WHERE number = 9000 SETTINGS mutations_sync = 1"
        )
