"""The spool on a real file system: order, restarts, damage, and what happens when there is no room."""

import os
import random
import subprocess
from pathlib import Path

import orjson
import pytest
import zstandard

from keelwatch.model.batch import decode_frames
from keelwatch.model.identity import Identity
from keelwatch.ship.disk import SpoolLockedError
from keelwatch.ship.draft import Draft
from keelwatch.ship.freeze import rows_draft
from keelwatch.ship.lanes import LANES
from keelwatch.ship.spool import Spool, SpoolFullError

BEGIN = 1_767_225_600_000_000_000  # 2026-01-01
NODE = Identity(cluster="c", node="n1")


def draft(table: str, text: str, size: int = 0) -> Draft:
    return Draft(table, "2026-01-01", 1, "rows", text.encode() + os.urandom(size))


def headers(frames):
    return [header for frame in frames for header, _ in decode_frames(frame)]


def texts(frames):
    return [
        zstandard.ZstdDecompressor().decompress(bytes(body)).decode()
        for f in frames
        for _, body in decode_frames(f)
    ]


def highest(frames):
    found = {}
    for header in headers(frames):
        found[header.table] = max(found.get(header.table, 0), header.seq)
    return found


def pending(spool: Spool, limit: int):
    """What waits in all lanes."""
    return [frame for lane in LANES for frame in spool.pending(limit, lane)]


def drain(spool: Spool, limit: int = 1 << 20):
    everything = []
    while frames := pending(spool, limit):
        everything += frames
        spool.acknowledge(highest(frames))
    return everything


def gaps(frames):
    found = []
    for frame in frames:
        for header, body in decode_frames(frame):
            if header.table == "gaps":
                raw = zstandard.ZstdDecompressor().decompress(bytes(body))
                found += [orjson.loads(line) for line in raw.splitlines()]
    return found


@pytest.fixture
def spool(tmp_path):
    opened = Spool(tmp_path / "spool", NODE, limit=64 << 20)
    yield opened
    opened.close()


def reopen(spool: Spool, **settings) -> Spool:
    directory = spool._files.directory
    spool.close()
    return Spool(directory, NODE, limit=settings.get("limit", spool.limit))


def test_numbers_are_contiguous_per_table_and_frames_stay_in_order(spool):
    for n in range(10):
        spool.append([draft("events", f"e{n}"), draft("alerts", f"a{n}")])
    frames = pending(spool, 1 << 20)
    assert [(h.table, h.seq) for h in headers(frames)] == [
        (table, n + 1) for table in ("alerts", "events") for n in range(10)
    ]
    assert {h.spool for h in headers(frames)} == {spool.id}
    assert {h.node for h in headers(frames)} == {"n1"}
    assert [texts(frames)[n] for n in (0, 10)] == ["a0", "e0"]


def test_pending_repeats_until_acknowledged_and_respects_its_limit(spool):
    for n in range(10):
        spool.append([draft("events", f"e{n}", 1000)])
    first = pending(spool, 3000)
    assert pending(spool, 3000) == first
    assert 0 < sum(map(len, first)) <= 3000
    assert len(pending(spool, 1)) == 1
    spool.acknowledge({"events": 1})
    assert headers(pending(spool, 1))[0].seq == 2
    assert [h.seq for h in headers(drain(spool, 3000))] == list(range(2, 11))


def test_record_larger_than_the_read_size_is_returned_whole(spool):
    spool.append([draft("events", "big", 300_000), draft("events", "small")])
    assert len(headers(pending(spool, 1))) == 1
    assert [h.seq for h in headers(drain(spool, 1))] == [1, 2]


def test_reopening_keeps_id_numbers_and_checkpoints(spool):
    spool.append([draft("logs", "a")], {"s1": {"offset": 1}, "s2": {"offset": 5}})
    spool.append([draft("logs", "b")], {"s1": {"offset": 2}})
    spool.append([], {"s2": None})
    again = reopen(spool)
    assert again.id == spool.id
    assert again.checkpoints() == {"s1": {"offset": 2}}
    again.append([draft("logs", "c")])
    assert [
        (h.seq, text)
        for h, text in zip(headers(pending(again, 9999)), texts(pending(again, 9999)), strict=True)
    ] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
    ]
    again.close()


def test_checkpoints_survive_the_segments_they_were_written_in(tmp_path):
    spool = Spool(tmp_path / "spool", NODE, limit=2 << 20)
    spool.append([draft("logs", "first")], {"old": {"offset": 7}})
    for n in range(40):
        spool.append([draft("logs", "x", 50_000)], {"new": {"offset": n}})
        drain(spool)
    assert len(list((tmp_path / "spool").glob("*.segment"))) <= 2
    assert spool.size < 300_000
    again = reopen(spool)
    assert again.checkpoints() == {"old": {"offset": 7}, "new": {"offset": 39}}
    again.append([draft("logs", "y")])
    assert headers(pending(again, 1 << 20))[-1].seq == 42
    again.close()


def test_one_process_at_a_time(spool):
    with pytest.raises(SpoolLockedError):
        Spool(spool._files.directory, NODE)


def test_nobody_else_may_read_it(spool):
    spool.append([draft("events", "secret")])
    directory = spool._files.directory
    assert directory.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.iterdir())


def last_segment(spool: Spool) -> Path:
    return max(spool._files.directory.glob("*.segment"))


@pytest.mark.parametrize("seed", range(20))
def test_torn_tail_is_cut_at_the_last_whole_group(spool, seed):
    spool.append([draft("logs", "a")], {"s": 1})
    whole = last_segment(spool).stat().st_size
    spool.append([draft("logs", "b", 500), draft("logs", "c", 500)], {"s": 2})
    spool.close()
    path = last_segment(spool)
    data = path.read_bytes()
    path.write_bytes(data[: random.Random(seed).randrange(whole, len(data))])
    again = Spool(spool._files.directory, NODE)
    assert again.checkpoints() == {"s": 1}
    again.append([draft("logs", "B")], {"s": 3})
    assert texts(pending(again, 9999)) == ["a", "B"]
    assert [h.seq for h in headers(pending(again, 9999))] == [1, 2]
    again.close()


def damage(path: Path, needle: bytes) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(needle)
    data[at : at + len(needle)] = b"\0" * len(needle)
    path.write_bytes(bytes(data))


def marked(n: int) -> Draft:
    """A draft with incompressible, recognisable bytes, so that a test can hit its frame."""
    return Draft("logs", "2026-01-01", 10, "chunks", random.Random(n).randbytes(20_000))


@pytest.mark.parametrize("while_open", [True, False])
def test_damage_in_the_middle_loses_only_what_it_hit(tmp_path, while_open):
    spool = Spool(tmp_path / "spool", NODE, limit=2 << 20)
    for n in range(12):
        spool.append([marked(n)], {"s": n})
    paths = sorted((tmp_path / "spool").glob("*.segment"))
    assert len(paths) > 1
    if not while_open:
        spool.close()
    damage(paths[0], random.Random(1).randbytes(20_000)[5000:5050])
    if not while_open:
        spool = Spool(tmp_path / "spool", NODE, limit=2 << 20)
    frames = drain(spool)
    assert [h.seq for h in headers(frames) if h.table == "logs"] == [1, *range(3, 13)]
    found = gaps(frames)
    assert [(g["what"], g["cause"], g["amount"], g["unit"]) for g in found] == [
        ("logs", "spool_corrupt", 10, "rows")
    ]
    assert len(list((tmp_path / "spool" / "corrupt").iterdir())) == 1
    again = reopen(spool)
    again.resume({"logs": 12, "gaps": 1})
    again.append([marked(99)])
    assert [h.seq for h in headers(drain(again)) if h.table == "logs"] == [13]
    assert again.checkpoints() == {"s": 11}
    again.close()


def test_damage_in_the_last_segment_is_found_when_opening(spool):
    for n in range(3):
        spool.append([marked(n)], {"s": n})
    spool.close()
    damage(last_segment(spool), random.Random(1).randbytes(20_000)[5000:5050])
    again = Spool(spool._files.directory, NODE)
    again.append([marked(3)], {"s": 3})
    frames = drain(again)
    assert [h.seq for h in headers(frames) if h.table == "logs"] == [1, 3, 4]
    assert [(g["cause"], g["amount"]) for g in gaps(frames)] == [("spool_corrupt", 10)]
    assert again.checkpoints() == {"s": 3}
    again.close()


@pytest.mark.parametrize("seed", range(40))
def test_any_single_damage_keeps_the_rest_and_never_reuses_a_number(tmp_path, seed):
    rng = random.Random(seed)
    spool = Spool(tmp_path / "spool", NODE, limit=2 << 20)
    for n in range(12):
        spool.append([marked(n)], {"s": n})
    spool.close()
    path = rng.choice(sorted((tmp_path / "spool").glob("*.segment")))
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data) - 30_000 if path == last_segment(spool) else len(data))
    data[at : at + 40] = rng.randbytes(40)[: len(data) - at]
    path.write_bytes(bytes(data))
    again = Spool(tmp_path / "spool", NODE, limit=2 << 20)
    again.append([Draft("logs", "2026-01-01", 1, "rows", b"new")], {"s": 100})
    frames = drain(again)
    seqs = [h.seq for h in headers(frames) if h.table == "logs"]
    assert seqs[-1] == 13
    assert texts(frames[-1:]) == ["new"] or gaps(frames[-1:])
    assert len(set(seqs)) == len(seqs) >= 11
    lost = sum(g["amount"] if g["unit"] == "batches" else g["amount"] // 10 for g in gaps(frames))
    assert lost == 13 - len(seqs)
    assert again.checkpoints() == {"s": 100}
    again.close()


def test_unreadable_spool_begins_a_new_one_and_says_so(spool):
    old = spool.id
    spool.append([draft("events", "x")])
    spool.close()
    last_segment(spool).write_bytes(os.urandom(5000))
    again = Spool(spool._files.directory, NODE)
    assert again.id != old
    assert [g["cause"] for g in gaps(drain(again))] == ["spool_corrupt"]
    again.close()


def test_log_text_that_looks_like_a_frame_is_not_taken_for_one(tmp_path):
    from keelwatch.model.batch import BatchHeader, encode_frame

    spool = Spool(tmp_path / "spool", NODE)
    fake = encode_frame(BatchHeader("other", "alerts", 1, "2026-01-01", 1, "rows", 3), b"abc")
    spool.append([Draft("logs", "2026-01-01", 1, "rows", os.urandom(200) + fake + os.urandom(200))])
    spool.append([draft("events", "end")])
    spool.close()
    path = last_segment(spool)
    data = bytearray(path.read_bytes())
    at = data.index(fake) - 10
    data[at : at + 4] = b"\0\0\0\0"
    path.write_bytes(bytes(data))
    again = Spool(tmp_path / "spool", NODE)
    assert {h.table for h in headers(drain(again))} == {"events", "gaps"}
    again.close()


def fill(spool, size):
    for n in range(1000):
        spool.append([draft("logs", "x", size)], {"s": n})


def test_full_spool_makes_logs_wait_and_counts_events_but_keeps_alerts(tmp_path):
    spool = Spool(tmp_path / "spool", NODE, limit=1 << 20)
    with pytest.raises(SpoolFullError) as full:
        fill(spool, 10_000)
    assert full.value.cause == "spool_full"
    for _ in range(20):
        spool.append([draft("events", "e", 10_000)])
    spool.append([draft("alerts", "important", 1000)])
    assert spool.size <= 1 << 20
    assert 5 < spool.appended["events"] < 20
    dropped = 20 - spool.appended["events"]
    assert spool.losses == {("events", "spool_full"): dropped}
    frames = drain(spool)
    assert "alerts" in {h.table for h in headers(frames)}
    assert sum(g["amount"] for g in gaps(frames)) == dropped
    spool.append([draft("logs", "room again", 10_000)], {"s": 2})
    spool.close()


def test_rejected_batch_is_set_aside_counted_and_never_sent_again(spool):
    for n in range(3):
        spool.append([draft("events", f"e{n}")])
    spool.reject(pending(spool, 1 << 20)[1], "column missing")
    again = reopen(spool)
    frames = drain(again)
    assert [h.seq for h in headers(frames) if h.table == "events"] == [1, 3]
    assert [(g["what"], g["cause"], g["detail"]) for g in gaps(frames)] == [
        ("events", "rejected", "column missing")
    ]
    assert not any(again.waiting.values())
    assert [p.name for p in (spool._files.directory / "rejected").iterdir()] == ["events-2.frame"]
    again.close()


def test_last_batch_rejected_leaves_nothing_waiting(spool):
    spool.append([draft("events", "e")])
    spool.reject(pending(spool, 1 << 20)[0], "no")
    assert spool.waiting["events"] == 0


def test_hub_that_knows_more_than_the_spool_is_counted_and_numbers_move_on(spool):
    spool.append([draft("events", "old")])
    again = reopen(spool)
    again.append([draft("events", "hidden")])
    again.resume({"events": 5})
    again.append([draft("events", "new")])
    frames = drain(again)
    assert ("events", 6) in {(h.table, h.seq) for h in headers(frames)}
    assert [(g["cause"], g["amount"], g["unit"]) for g in gaps(frames)] == [("spool_corrupt", 1, "batches")]
    again.close()


def test_acknowledgement_from_before_a_restart_is_asked_for_again(spool):
    for n in range(3):
        spool.append([draft("events", f"e{n}")])
    again = reopen(spool)
    again.resume({"events": 2})
    assert [h.seq for h in headers(pending(again, 1 << 20))] == [3]
    again.close()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk_is_said_clearly_bounded_and_becomes_a_gap(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        spool = Spool(small / "spool", NODE, limit=64 << 20)
        with pytest.raises(SpoolFullError, match="No space left on device") as full:
            fill(spool, 50_000)
        assert full.value.cause == "disk_full"
        kept = spool.checkpoints()["s"] + 1
        spool.append([draft("events", "e", 100_000)])
        assert "No space left" in spool.problem
        assert spool.losses == {("events", "disk_full"): 1}
        frames = pending(spool, 100 << 20)
        assert len(frames) == kept
        (small / "spool" / "filler").unlink(missing_ok=True)
        subprocess.run(["mount", "-o", "remount,size=8m", small], check=True)
        spool.append([draft("events", "room")])
        frames = drain(spool)
        assert [(g["what"], g["cause"], g["amount"]) for g in gaps(frames)] == [("events", "disk_full", 1)]
        assert spool.problem == ""
        again = reopen(spool)
        assert again.checkpoints() == {"s": kept - 1}
        again.close()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_many_threads_append_without_gaps_in_the_numbers(spool):
    import threading

    def work(table):
        for n in range(50):
            spool.append([draft(table, f"{n}")])

    threads = [
        threading.Thread(target=work, args=(table,)) for table in ("events", "events", "alerts", "logs")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = headers(drain(spool))
    for table, count in (("events", 100), ("alerts", 50), ("logs", 50)):
        assert [h.seq for h in found if h.table == table] == list(range(1, count + 1))


def test_rows_are_split_by_day_and_size_and_bad_text_is_escaped():
    day = 86_400_000_000_000
    rows = [{"time": BEGIN + n % 2 * day, "text": "x" * 1000 + "\udc80"} for n in range(20_000)]
    drafts = rows_draft("events", rows)
    assert {d.day for d in drafts} == {"2026-01-01", "2026-01-02"}
    assert sum(d.rows for d in drafts) == 20_000
    assert all(d.rows == d.raw.count(b"\n") and len(d.raw) <= 8 << 20 for d in drafts)
    assert orjson.loads(drafts[0].raw.splitlines()[0])["text"].endswith("\\udc80")


def test_clock_that_was_not_set_does_not_make_partitions():
    assert [d.day for d in rows_draft("events", [{"time": 0}, {"time": BEGIN}])] == [
        "2000-01-01",
        "2026-01-01",
    ]


def test_a_renamed_node_keeps_its_name_in_the_headers_so_that_the_hub_knows_the_spool(tmp_path):
    spool = Spool(tmp_path / "renamed", Identity(node="before"), limit=1 << 20)
    for n in range(40):  # over several segments
        spool.append([draft("events", str(n), 1 << 14)])
        spool.acknowledge(highest(pending(spool, 1 << 20)))
    spool.close()
    renamed = Spool(tmp_path / "renamed", Identity(node="after"), limit=1 << 20)
    renamed.append([draft("events", "new")])
    assert {header.node for header in headers(pending(renamed, 1 << 20))} == {"before"}
    renamed.close()
    fresh = Spool(tmp_path / "fresh", Identity(node="after"))
    fresh.append([draft("events", "new")])
    assert headers(pending(fresh, 1 << 20))[0].node == "after"
    fresh.close()
