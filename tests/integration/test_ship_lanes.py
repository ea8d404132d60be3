"""Lanes: alerts pass a backlog of logs, on the disk, on the wire and at the hub, and nothing else changes."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import zstandard

from keelwatch.model.batch import BatchHeader, decode_frames
from keelwatch.model.identity import Identity
from keelwatch.model.logchunk import encode_chunk
from keelwatch.ship.disk import SegmentFiles
from keelwatch.ship.draft import Draft
from keelwatch.ship.freeze import rows_draft
from keelwatch.ship.lanes import LANES, Lane
from keelwatch.ship.sender import Sender
from keelwatch.ship.spool import Spool
from tests.hub_support import DAY, IDENTITY, HubProcess, alert_row, line

NODE = Identity(cluster="c", node=IDENTITY.node)
BLOCK_LINES = 40_000
BLOCKS = 50
"""Of some 6 MB each: 300 MB of log text."""


def draft(table: str, number: int, size: int = 0) -> Draft:
    return Draft(table, "2026-01-01", 1, "rows", b"%d " % number + random.Random(number).randbytes(size))


def found(frames: list[bytes]) -> list[BatchHeader]:
    return [header for frame in frames for header, _ in decode_frames(frame)]


def drain(spool: Spool, lane: Lane, limit: int = 1 << 16) -> Iterator[BatchHeader]:
    while frames := spool.pending(limit, lane):
        for header in found(frames):
            yield header
            spool.acknowledge({header.table: header.seq})


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool", NODE, limit=256 << 20)
    yield opened
    opened.close()


def test_the_way_to_an_alert_reads_no_logs(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(100):
        spool.append([draft("logs", n, 1 << 20)])
    spool.append([draft("alerts", 1)])
    read = []
    original = SegmentFiles.read

    def counted(files: SegmentFiles, number: int, at: int, size: int) -> bytes:
        data = original(files, number, at, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(SegmentFiles, "read", counted)
    assert [header.table for header in found(spool.pending(1 << 20, "prompt"))] == ["alerts"]
    assert sum(read) < spool.size / 50
    read.clear()
    spool.acknowledge({"alerts": 1})
    assert spool.pending(1 << 20, "prompt") == []
    assert sum(read) < 1 << 16, "what was passed once is read again"


def test_those_who_append_do_not_wait_for_a_look_through_a_million_small_logs(spool: Spool) -> None:
    drafts = [draft("logs", n) for n in range(5000)]
    for _ in range(20):
        spool.append(drafts)
    spool.append([draft("alerts", 1)])
    longest = 0.0
    looking = threading.Thread(target=spool.pending, args=(1 << 20, "prompt"))
    looking.start()
    while looking.is_alive():
        began = time.monotonic()
        spool.checkpoints()
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.001)
    assert longest < 0.5
    assert found(spool.pending(1 << 20, "prompt"))[0].table == "alerts"


def test_segments_go_only_when_every_lane_has_done_with_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", NODE, limit=4 << 20)
    for n in range(1, 31):
        spool.append([draft("logs", n, 50_000), draft("alerts", n), draft("events", n, 100)])
    files = len(list((tmp_path / "spool").glob("*.segment")))
    assert files > 3
    assert [header.seq for header in drain(spool, "prompt")] == list(range(1, 31))
    assert [header.seq for header in drain(spool, "events")] == list(range(1, 31))
    assert len(list((tmp_path / "spool").glob("*.segment"))) == files
    assert [header.seq for header in drain(spool, "logs")] == list(range(1, 31))
    assert len(list((tmp_path / "spool").glob("*.segment"))) == 1
    spool.close()


def test_a_restart_in_the_middle_of_all_lanes_neither_loses_nor_doubles(tmp_path: Path) -> None:
    chance = random.Random(3)
    spool = Spool(tmp_path / "spool", NODE, limit=4 << 20)
    arrived: dict[str, list[int]] = {}
    appended: Counter[str] = Counter()
    for _ in range(150):
        table = chance.choice(("logs", "alerts", "events", "gaps", "lifecycle"))
        appended[table] += 1
        spool.append([draft(table, appended[table], chance.choice((10, 30_000)))])
        if chance.random() < 0.5:
            for header in found(spool.pending(40_000, chance.choice(LANES))):
                arrived.setdefault(header.table, []).append(header.seq)
                spool.acknowledge({header.table: header.seq})
        if chance.random() < 0.1:
            spool.close()
            spool = Spool(tmp_path / "spool", NODE, limit=4 << 20)
            spool.resume({table: seqs[-1] for table, seqs in arrived.items()})
    for lane in LANES:
        for header in drain(spool, lane):
            arrived.setdefault(header.table, []).append(header.seq)
    assert arrived == {table: list(range(1, count + 1)) for table, count in appended.items()}
    spool.close()


@pytest.mark.parametrize("seed", range(60))
def test_what_damage_takes_from_any_lane_is_counted(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    spool = Spool(tmp_path / "spool", NODE, limit=2 << 20)
    for n in range(1, 25):
        spool.append(
            [draft(table, n, size) for table, size in (("logs", 9000), ("alerts", 90), ("events", 900))]
        )
    paths = sorted((tmp_path / "spool").glob("*.segment"))
    path = chance.choice(paths[:-1])
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    data[at : at + 40] = chance.randbytes(len(data[at : at + 40]))
    path.write_bytes(bytes(data))
    arrived = Counter[tuple[str, int]]()
    lost = 0
    frames = True
    while frames:
        frames = False
        for lane in LANES:
            for frame in spool.pending(30_000, lane):
                frames = True
                [(header, body)] = decode_frames(frame)
                arrived[header.table, header.seq] += 1
                spool.acknowledge({header.table: header.seq})
                if header.table == "gaps":
                    rows = zstandard.ZstdDecompressor().decompress(bytes(body)).splitlines()
                    lost += sum(orjson.loads(row)["amount"] for row in rows)
    missing = [
        (table, n) for table in ("logs", "alerts", "events") for n in range(1, 25) if not arrived[table, n]
    ]
    assert max(arrived.values()) == 1
    assert len(missing) == lost
    assert len(missing) <= 3
    spool.close()


def test_an_alert_passes_300_megabytes_of_logs_that_wait_for_the_hub(tmp_path: Path) -> None:
    """The hub was away for long; within two seconds of its return the alert is seen, and then the logs."""
    hub = HubProcess(tmp_path / "hub", keep_port=True).start()
    token = hub.data / "agent.token"
    hub.stop()
    spool = Spool(tmp_path / "spool", NODE)
    sender = Sender(spool, hub.url, token)
    sender.start()
    for n in range(BLOCKS):
        lines = b"".join(
            line(n * BLOCK_LINES + i, f" {i * 7919 % 104729} " + "x" * 80) for i in range(BLOCK_LINES)
        )
        spool.append([Draft("logs", DAY, BLOCK_LINES, "chunks", encode_chunk("cri", 0, 0, IDENTITY, lines))])
    spool.append(rows_draft("alerts", [alert_row(1)]))
    try:
        hub.start()
        back = time.monotonic()
        while not hub.records("alerts"):
            assert time.monotonic() - back < 2.0, "the alert waits behind the logs"
            time.sleep(0.05)
        assert spool.waiting["logs"] > BLOCKS / 3, "there was no backlog left to wait for"
        while any(spool.waiting.values()):
            assert time.monotonic() - back < 60, sender.problem
            time.sleep(0.1)
        counts = hub.json("/api/v1/histogram", since=f"{DAY}T00:00:00Z", until=f"{DAY}T23:59:59Z")["counts"]
        assert sum(counts) == BLOCKS * BLOCK_LINES
    finally:
        sender.stop(0.1)
        spool.close()
        hub.stop()
