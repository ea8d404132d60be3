"""The writer on a real engine while something between them fails: each batch is stored once, or later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from keelwatch.console.history import History
from keelwatch.hub.health import Health
from keelwatch.hub.invalid_lines import InvalidLines
from keelwatch.ingest.dedupe import Waiting
from keelwatch.ingest.intake import Intake, IntakeSettings
from keelwatch.ingest.writer import StoreUnavailableError, WriterSettings
from keelwatch.model.identity import Identity
from keelwatch.query import follow
from keelwatch.store.chdb import EmbeddedDatabase, Limits
from keelwatch.store.database import BusyError, Insertion, StoreError
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate
from tests.hub_support import IDENTITY, alert_row, line, log_frame, rows_frame

HOST = Identity(cluster=IDENTITY.cluster, node=IDENTITY.node)


class Troubled(EmbeddedDatabase):
    """The engine, and the next insertions' trouble: what is raised before or behind them."""

    before: StoreError | None = None
    behind: StoreError | None = None

    def insert(self, insertion: Insertion) -> None:
        if self.before:
            raise self.before
        super().insert(insertion)
        if self.behind and insertion.table == "logs":
            behind, self.behind = self.behind, None
            raise behind


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    """One engine for the module: a process can open only one store."""
    found = Troubled(tmp_path_factory.mktemp("writer") / "store", Limits(readers=1, wait_seconds=0.2))
    migrate(found, EMBEDDED)
    yield found
    found.close()


@pytest.fixture
def intake(database: Troubled, tmp_path: Path) -> Iterator[Intake]:
    settings = IntakeSettings(reserve=1, writer=WriterSettings(window=0.05, hold=0.1))
    begun = Intake(database, tmp_path, settings)
    begun.start()
    yield begun
    begun.stop()
    for table in ("logs", "alerts", "gaps", "lifecycle"):
        database.execute(f"TRUNCATE TABLE {table}")


def outcomes(waiting: list[Waiting]) -> list[BaseException | None]:
    futures: list[Future[None]] = [item.ticket.stored for item in waiting]
    return [future.exception(timeout=20) for future in futures]


def post(intake: Intake, body: bytes) -> list[BaseException | None]:
    return outcomes(intake.accept(body, "127.0.0.1"))


def lines(database: EmbeddedDatabase) -> int:
    return int(database.lookup("SELECT count() AS n FROM logs")[0]["n"])


def test_readers_who_hold_every_connection_do_not_make_batches_stored_twice(
    database: Troubled, intake: Intake
) -> None:
    stream = database.lines("SELECT number FROM numbers(10000000)")
    next(stream)
    try:
        with pytest.raises(BusyError):
            database.query("SELECT 1")
        frames = [log_frame(seq, line(seq), rows=9) for seq in (1, 2, 3)]  # rows: makes the writer ask
        assert post(intake, frames[0]) == [None]
        assert post(intake, b"".join(frames)) == [None] * 3
        assert intake.stored("spool-1") == {"logs": 3}
    finally:
        stream.close()
    assert lines(database) == 3


def test_an_insertion_whose_answer_got_lost_is_not_repeated(database: Troubled, intake: Intake) -> None:
    for behind in (
        StoreError("connection reset"),
        StoreError("Code: 241. too large"),
        StoreError("Code: 27."),
    ):
        database.behind = behind
        seq = intake.stored("spool-1").get("logs", 0) + 1
        body = log_frame(seq, line(seq)) + log_frame(seq + 1, line(seq + 1))
        assert post(intake, body) == [None, None]
        assert post(intake, body) == [None, None]
    assert lines(database) == 6


def test_a_store_that_is_not_reached_is_not_the_batches_fault(
    database: Troubled, intake: Intake, tmp_path: Path
) -> None:
    database.before = StoreError("HTTPConnectionPool: Max retries exceeded")
    try:
        (failure,) = post(intake, log_frame(1, line(1)))
    finally:
        database.before = None
    assert isinstance(failure, StoreUnavailableError)
    assert not list((tmp_path / "quarantine").iterdir())
    assert post(intake, log_frame(1, line(1))) == [None]
    assert lines(database) == 1


def test_the_question_behind_an_insertion_can_fail(
    database: Troubled, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("Code: 241. DB::Exception: (total) memory limit exceeded")

    assert post(intake, log_frame(1, line(1))) == [None]
    monkeypatch.setattr(database, "lookup", fail)
    assert post(intake, log_frame(2, line(2))) == [None]
    monkeypatch.undo()
    assert post(intake, log_frame(2, line(2))) == [None]
    assert lines(database) == 2


def test_a_store_without_groups_gets_one_batch_at_a_time(
    database: Troubled, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    insert = database.insert
    monkeypatch.setattr(database, "groups", False)
    monkeypatch.setattr(database, "insert", lambda i: (sizes.append(len(i.sources)), insert(i)))
    assert post(intake, b"".join(log_frame(seq, line(seq)) for seq in (1, 2, 3))) == [None] * 3
    assert sizes == [1, 1, 1]


def test_neighbours_set_aside_are_no_gap_in_the_sequence_for_the_next_hub(
    database: Troubled, intake: Intake, tmp_path: Path
) -> None:
    bad = [rows_frame("alerts", seq, [alert_row(seq, pid="many")]) for seq in (2, 3)]
    good = [rows_frame("alerts", seq, [alert_row(seq)]) for seq in (1, 4)]
    assert post(intake, good[0] + b"".join(bad)) == [None] * 3
    settings = IntakeSettings(reserve=1, writer=replace(WriterSettings(), window=0.05, hold=0.1))
    restarted = Intake(database, tmp_path, settings)
    restarted.start()
    try:
        assert post(restarted, good[1]) == [None]
    finally:
        restarted.stop()
    causes = [row["cause"] for row in database.lookup("SELECT cause FROM gaps")]
    assert causes == ["rejected", "rejected"]


def test_the_hubs_own_gaps_name_the_node_and_the_cluster_of_the_spool(
    database: Troubled, intake: Intake
) -> None:
    started = {**HOST.columns(), "time": 1, "kind": "agent_started", "labels": {}, "detail": "{}"}
    assert post(intake, rows_frame("lifecycle", 1, [started])) == [None]
    poison = rows_frame("alerts", 1, [alert_row(1, pid="many")])
    assert post(intake, poison) == [None]
    assert post(intake, log_frame(3, line(3), rows=5)) == [None]  # ahead of two, and not as many as it says
    intake.stop()  # the count is looked at behind the answer
    found = {row["cause"]: row for row in database.lookup("SELECT cause, cluster, node FROM gaps")}
    assert found.keys() == {"rejected", "sequence", "row_count"}
    assert {(row["cluster"], row["node"]) for row in found.values()} == {(HOST.cluster, HOST.node)}


def test_a_gap_of_a_spool_whose_agent_is_not_known_yet_names_its_node(
    database: Troubled, intake: Intake
) -> None:
    assert post(intake, log_frame(3, line(3))) == [None]
    [gap] = database.lookup("SELECT cause, cluster, node FROM gaps")
    assert gap == {"cause": "sequence", "cluster": "", "node": HOST.node}


def test_what_the_engine_quotes_is_cut_and_escaped_in_logs(
    database: Troubled, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "\x1b[31m" + "password=hunter2 " * 50
    assert post(intake, rows_frame("alerts", 1, [alert_row(1, pid=secret)])) == [None]
    text = "".join(record.getMessage() for record in caplog.records)
    assert "set aside" in text
    assert "\x1b" not in text
    assert len(text) < 800


def test_readiness_and_metrics_do_not_wait_for_readers(database: Troubled, intake: Intake) -> None:
    health = Health(database, History(database, intake))

    async def ask() -> None:
        await health.ready()
        await health.measured()

    stream = database.lines("SELECT number FROM numbers(10000000)")
    next(stream)
    try:
        asyncio.run(asyncio.wait_for(ask(), 5))
    finally:
        stream.close()


def test_invalid_lines_of_every_spool_are_counted(
    database: Troubled, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MAX_SPANS", 2)
    counter = InvalidLines(database, intake)
    for spool in "abcde":
        pod = replace(IDENTITY, pod=f"pod-{spool}")
        assert post(intake, log_frame(1, b"no time stamp\n", spool=spool, identity=pod)) == [None]
    counter.count()
    rows = database.lookup("SELECT pod FROM gaps WHERE cause = 'line_invalid' ORDER BY pod")
    assert [row["pod"] for row in rows] == [f"pod-{spool}" for spool in "abcde"]
