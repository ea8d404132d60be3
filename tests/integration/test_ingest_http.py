"""The agents' two requests against a real hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import zstandard

from keelwatch.model.batch import BatchHeader, encode_frame
from tests.hub_support import IDENTITY, HubProcess, alert_row, line, log_frame, rows_frame


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    running = HubProcess(tmp_path_factory.mktemp("ingest") / "hub").start()
    yield running
    running.stop()


def acknowledged(hub: HubProcess, body: bytes) -> dict[str, int]:
    response = hub.post(body)
    assert response.status == 200, response.data
    return orjson.loads(response.data)["acknowledged"]


def messages(hub: HubProcess, node: str) -> list[str]:
    return [record["message"] for record in hub.records("logs", grep=node, tail="100000")]


def test_a_batch_is_stored_once_however_often_it_comes(hub: HubProcess) -> None:
    frame = log_frame(1, line(1, " once"), spool="once")
    for _ in range(3):
        assert acknowledged(hub, frame) == {"logs": 1}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(hub.post, [frame] * 6))
    assert {answer.status for answer in answers} == {200}
    assert len(messages(hub, " once")) == 1


def test_several_tables_in_one_request(hub: HubProcess) -> None:
    body = log_frame(1, line(1), spool="both") + rows_frame("alerts", 1, [alert_row(900)], spool="both")
    assert acknowledged(hub, body) == {"alerts": 1, "logs": 1}
    assert hub.stored("both") == {"logs": 1, "alerts": 1}
    assert hub.stored("nobody") == {}


def test_days_are_stored_in_order(hub: HubProcess) -> None:
    days = ["2026-01-15", "2026-01-16", "2026-01-15", "2026-01-17"]
    body = b"".join(log_frame(n + 1, line(n, " days"), spool="days", day=day) for n, day in enumerate(days))
    assert acknowledged(hub, body) == {"logs": 4}
    assert len(messages(hub, " days")) == 4


def test_requests_that_overtake_each_other_lose_nothing(hub: HubProcess) -> None:
    results: dict[int, int] = {}

    def send(seq: int) -> None:
        results[seq] = hub.post(log_frame(seq, line(seq, " race"), spool="race")).status

    threads = [threading.Thread(target=send, args=(seq,)) for seq in (3, 2, 1)]
    for thread in threads:
        thread.start()
        thread.join(0.3)  # the later batch is there first
    for thread in threads:
        thread.join()
    assert results == {1: 200, 2: 200, 3: 200}
    assert len(messages(hub, " race")) == 3
    assert not hub.records("gaps", cause="sequence", grep="spool race ")


def test_a_jump_is_accepted_and_reported_and_the_hole_can_be_filled(hub: HubProcess) -> None:
    assert acknowledged(hub, log_frame(1, line(1, " jump"), spool="jump")) == {"logs": 1}
    assert acknowledged(hub, log_frame(4, line(4, " jump"), spool="jump")) == {"logs": 4}
    (gap,) = hub.records("gaps", cause="sequence", grep="spool jump ")
    assert (gap["amount"], gap["unit"], gap["detail"]) == (2, "batches", "spool jump seq 2 to 3")
    assert acknowledged(hub, log_frame(3, line(3, " jump"), spool="jump")) == {"logs": 4}
    assert len(messages(hub, " jump")) == 3


def test_poison_is_set_aside_and_its_neighbours_are_stored(hub: HubProcess) -> None:
    good = [rows_frame("alerts", seq, [alert_row(seq + 100)], spool="poison") for seq in (1, 2, 4, 5)]
    bad = rows_frame("alerts", 3, [alert_row(103, pid="many")], spool="poison")
    assert acknowledged(hub, b"".join([*good[:2], bad, *good[2:]])) == {"alerts": 5}
    stored = {record["id"] for record in hub.records("alerts")}
    assert {"alert-101", "alert-102", "alert-104", "alert-105"} <= stored
    assert "alert-103" not in stored
    (gap,) = hub.records("gaps", cause="rejected", grep="spool poison ")
    assert (gap["what"], gap["amount"], gap["node"]) == ("alerts", 1, "node-1")
    assert (hub.data / "quarantine" / "alerts~poison~3.zst").exists()
    assert acknowledged(hub, bad) == {"alerts": 5}
    assert len(hub.records("gaps", cause="rejected", grep="spool poison ")) == 1


def test_a_wrong_row_count_is_recorded(hub: HubProcess) -> None:
    assert acknowledged(hub, log_frame(1, line(1), spool="count", rows=3)) == {"logs": 1}
    found: list[dict[str, object]] = []
    deadline = time.monotonic() + 10
    while not found and time.monotonic() < deadline:  # it is looked at behind the answer
        found = hub.records("gaps", cause="row_count", grep="spool count ")
    (gap,) = found
    assert (gap["amount"], gap["detail"]) == (2, "spool count seq 1: 3 rows announced, 1 stored")


def test_unknown_columns_are_ignored_and_missing_ones_empty(hub: HubProcess) -> None:
    row = {
        "time": 1_768_478_400_000_000_000,
        "id": "alert-sparse",
        "rule": "r",
        "future": {"a": 1},
        "node": None,
    }
    assert acknowledged(hub, rows_frame("alerts", 1, [row], spool="sparse")) == {"alerts": 1}
    found = hub.json("/api/v1/alerts/alert-sparse")
    assert (found["rule"], found["node"], found["tags"], found["ancestors"]) == ("r", "", [], [])


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"garbage garbage!", "not a frame"), (log_frame(1, line(1))[:-4], "cut off"), (b"", "no batch")],
)
def test_broken_frames_are_refused(hub: HubProcess, body: bytes, error: str) -> None:
    response = hub.post(body)
    assert response.status == 400
    assert error in orjson.loads(response.data)["error"]


def test_a_refused_frame_is_named(hub: HubProcess) -> None:
    response = hub.post(log_frame(5, line(1), spool="named", day="1990-01-01"))
    assert response.status == 400
    answer = orjson.loads(response.data)
    assert (answer["spool"], answer["table"], answer["seq"]) == ("named", "logs", 5)
    assert "1990-01-01" in answer["error"]


def test_tokens(hub: HubProcess) -> None:
    frame = log_frame(1, line(1), spool="tokens")
    before = _metric(hub, 'keelwatch_hub_unauthorised_total{kind="agent"}')
    assert hub.post(frame, token="kw-wrong-wrong-wrong").status == 401
    assert hub.post(frame, token=hub.token("admin")).status == 403
    assert hub.stored("tokens") == {}
    assert _metric(hub, 'keelwatch_hub_unauthorised_total{kind="agent"}') == before + 1


def test_a_request_that_is_too_long_is_refused(hub: HubProcess) -> None:
    headers = {"Authorization": f"Bearer {hub.token('agent')}", "Content-Length": str(1 << 40)}
    response = hub.pool.request("POST", f"{hub.url}/v1/batches", headers=headers, body=b"", retries=False)
    assert response.status == 413


@pytest.mark.parametrize(("name", "unit"), [("zeros", bytes(1 << 20)), ("rows", b'{"time":1}\n' * 95_000)])
def test_a_bomb_does_not_take_the_hub_down(hub: HubProcess, name: str, unit: bytes) -> None:
    """A body that says nothing of its size and unpacks to 1 GB."""
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    body = b"".join([packer.compress(unit) for _ in range(1024)]) + packer.flush()
    frame = encode_frame(BatchHeader(f"bomb-{name}", "events", 1, "2026-01-15", 1, "rows", 10), body)
    assert hub.post(frame).status == 200
    assert hub.records("gaps", cause="rejected", grep=f"spool bomb-{name} ")
    assert hub.alive()


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    """The reserve is larger than any disk, then back to what is there."""
    hub = HubProcess(tmp_path / "hub").start(KEELWATCH_TEST_RESERVE=str(1 << 60))
    try:
        response = hub.post(log_frame(1, line(1)))
        assert response.status == 503
        assert response.headers["Retry-After"]
        assert "disk is full" in orjson.loads(response.data)["error"]
        assert hub.stop() == 0
        hub.start()
        assert acknowledged(hub, log_frame(1, line(1))) == {"logs": 1}
    finally:
        hub.stop()


def test_sigterm_stores_what_was_received(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub").start()
    with ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(hub.post, log_frame(1, b"".join(line(n) for n in range(2000)), spool=f"s{spool}"))
            for spool in range(4)
        ]
        statuses = [answer.result().status for answer in answers]
        assert hub.stop() == 0
    hub.start()
    try:
        stored = sum(status == 200 for status in statuses)
        assert len(hub.records("logs", tail="100000")) == 2000 * stored == 8000
    finally:
        hub.stop()


def test_a_spool_belongs_to_the_node_it_came_from(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub").start()
    try:
        began = {**IDENTITY.columns(), "time": 1, "kind": "agent_started", "labels": {}, "detail": "{}"}
        assert hub.post(rows_frame("lifecycle", 1, [began])).status == 200
        foreign = log_frame(1, line(1), identity=replace(IDENTITY, node="node-2"))
        for _ in range(2):
            response = hub.post(foreign)
            assert response.status == 403
            assert "belongs to the node 'node-1'" in orjson.loads(response.data)["error"]
            assert _metric(hub, 'keelwatch_hub_refused_total{reason="foreign"}') == 1
            assert hub.stored("spool-1") == {"lifecycle": 1}
            assert not list((hub.data / "ingest" / "logs").iterdir())
            hub.stop()
            hub.start()  # it knows the node from the store
        assert acknowledged(hub, log_frame(1, line(1))) == {"logs": 1}
    finally:
        hub.stop()


def test_numbers_cannot_be_used_up(hub: HubProcess) -> None:
    assert acknowledged(hub, log_frame(1, line(1), spool="far")) == {"logs": 1}
    assert hub.post(log_frame(1 << 60, line(2), spool="far")).status == 403
    assert hub.stored("far") == {"logs": 1}


def test_metrics_do_not_tell_the_names_of_spools(hub: HubProcess) -> None:
    assert acknowledged(hub, log_frame(1, line(1), spool="secret-spool")) == {"logs": 1}
    text = hub.pool.request("GET", f"{hub.url}/metrics").data.decode()
    assert 'last_seen_timestamp_seconds{node="node-1"}' in text
    assert "secret-spool" not in text


def _metric(hub: HubProcess, name: str) -> float:
    text = hub.pool.request("GET", f"{hub.url}/metrics").data.decode()
    return sum(float(row.rsplit(" ", 1)[1]) for row in text.splitlines() if row.startswith(name))
