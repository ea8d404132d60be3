"""The log follower on real files: rotation as the kubelet and Docker do it, truncation, restarts, ends."""

import contextlib
import errno
import gzip
import os
import resource
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keelwatch.capture.logs import Follower, LogTarget
from keelwatch.capture.logs import stream as stream_module
from keelwatch.capture.logs.rotation import is_gone
from keelwatch.model.identity import IDENTITY_COLUMNS, Identity
from keelwatch.ship.freeze import log_drafts
from keelwatch.ship.spool import Spool

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def line(n: int, stream: str = "stdout", tag: str = "F", text: str = "") -> bytes:
    time = f"{BEGIN + timedelta(milliseconds=n):%Y-%m-%dT%H:%M:%S.%f}000Z"
    return f"{time} {stream} {tag} {text or f'line {n}'}\n".encode()


def lines(*numbers: int) -> bytes:
    return b"".join(map(line, numbers))


def unpack(row: bytes) -> dict:
    """One RowBinary row of a chunk, read by hand."""
    at = 0

    def string() -> bytes:
        nonlocal at
        size = shift = 0
        while True:
            byte = row[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size
        return row[at - size : at]

    found = {"format": string().decode()}
    found["first_row"] = int.from_bytes(row[at : at + 4], "little")
    found["offset"] = int.from_bytes(row[at + 4 : at + 12], "little")
    at += 12
    for name in IDENTITY_COLUMNS:
        if name == "restart":
            at += 4
        else:
            found[name] = string().decode()
    found["chunk"] = string()
    assert at == len(row)
    return found


class Reader:
    """Follows one log and gathers what comes out, restarting from checkpoints as an agent would."""

    def __init__(self, path: Path, line_format: str = "cri") -> None:
        self.target = LogTarget("s1", path, line_format, Identity(node="n1", pod="p"))
        self.checkpoints: dict = {}
        self.data = b""
        self.days: list[str] = []
        self.gaps: list = []
        self.start()

    def start(self) -> None:
        self.follower = Follower(self.checkpoints)
        self.follower.watch(self.target)

    def restart(self) -> None:
        self.follower.close()
        self.start()

    def read(self, budget: int = 4 << 20) -> bytes:
        self.follower._held = 0.0
        found = self.follower.read(budget)
        for batch in found.batches:
            rows = [unpack(row) for row in batch.chunks]
            assert [row["first_row"] for row in rows] == counted(row["chunk"] for row in rows)
            assert all(row["chunk"].endswith(b"\n") for row in rows)
            assert batch.lines == sum(row["chunk"].count(b"\n") for row in rows)
            self.data += b"".join(row["chunk"] for row in rows)
            self.days.append(batch.day)
        for name, value in found.checkpoints.items():
            if value is None:
                self.checkpoints.pop(name)
            else:
                self.checkpoints[name] = value
        self.gaps += found.gaps
        return self.data

    def finish(self) -> bytes:
        self.follower.end("s1")
        deadline = time.monotonic() + 5
        while self.follower.streams and time.monotonic() < deadline:
            self.read()
            time.sleep(0.01)
        assert not self.follower.streams
        return self.data


def counted(chunks) -> list[int]:
    starts = [0]
    for chunk in chunks:
        starts.append(starts[-1] + chunk.count(b"\n"))
    return starts[:-1]


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    monkeypatch.setattr(stream_module, "GRACE", 0.05)


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "0.log"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def settle(reader: Reader) -> bytes:
    """Read until rotated files have been let go."""
    for _ in range(4):
        reader.read()
        time.sleep(0.06)
    return reader.read()


def test_only_whole_lines_are_read(log):
    append(log, lines(1) + line(2)[:-5])
    reader = Reader(log)
    assert reader.read() == lines(1)
    assert reader.read() == lines(1)
    append(log, line(2)[-5:])
    assert reader.read() == lines(1, 2)
    assert reader.checkpoints["s1"]["offset"] == len(lines(1, 2))


def test_file_that_appears_later(log):
    reader = Reader(log)
    assert reader.read() == b""
    append(log, lines(1))
    assert reader.read() == lines(1)


def test_restart_goes_on_where_it_was(log):
    append(log, lines(1, 2))
    reader = Reader(log)
    reader.read()
    append(log, lines(3))
    reader.restart()
    assert reader.read() == lines(1, 2, 3)
    reader.restart()
    assert reader.read() == lines(1, 2, 3)
    assert not reader.gaps


def test_rotation_by_rename_reads_the_old_file_to_its_end(log):
    append(log, lines(1))
    reader = Reader(log)
    reader.read()
    append(log, lines(2))
    old = log.rename(log.with_name("0.log.20260131-120000"))
    append(old, lines(3))  # the runtime has it open still
    reader.read()
    append(log, lines(5))
    append(old, lines(4))
    assert settle(reader) == lines(1, 2, 3, 4, 5)


def compress(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    with path.open("rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    path.unlink()
    return packed


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_several_rotations_behind_its_back(log, running, compressed):
    append(log, lines(1, 2))
    reader = Reader(log)
    reader.read()
    if not running:
        reader.follower.close()
    append(log, lines(3))
    for n in range(4):
        rotated = log.rename(log.with_name(f"0.log.20260131-12000{n}"))
        append(log, lines(10 + n))
        if running:
            reader.follower._held = 0.0
            reader.follower.hold()
        if compressed and n < 3:
            compress(rotated)
    if not running:
        reader.start()
    assert settle(reader) == lines(1, 2, 3, 10, 11, 12, 13)
    assert not reader.gaps
    reader.restart()
    assert settle(reader) == lines(1, 2, 3, 10, 11, 12, 13)


def test_new_stream_begins_with_its_oldest_rotated_file(log):
    for n, name in enumerate(["0.log.20260131-110000", "0.log.20260131-120000", "0.log"]):
        append(log.with_name(name), lines(n))
    compress(log.with_name("0.log.20260131-110000"))
    append(log.with_name("0.log.20260131-130000.tmp"), b"half compressed")
    append(log.with_name("10.log"), b"another container's restart")
    assert settle(Reader(log)) == lines(0, 1, 2)


def test_large_compressed_file_is_read_in_pieces_from_where_it_was_left(log):
    everything = b"".join(line(n, text="x" * 100 + str(n)) for n in range(30_000))
    append(log, everything)
    reader = Reader(log)
    reader.read(1 << 20)
    assert 0 < len(reader.data) < len(everything)
    reader.follower.close()
    compress(log.rename(log.with_name("0.log.20260131-120000")))
    append(log, lines(99_999))
    reader.start()
    for _ in range(5):
        reader.read(1 << 20)
    assert settle(reader) == everything + lines(99_999)


def test_docker_rotation(tmp_path):
    log = tmp_path / "abc-json.log"

    def record(n: int) -> bytes:
        return b'{"log":"line %d\\n","stream":"stdout","time":"2026-01-31T12:00:%02dZ"}\n' % (n, n)

    append(log, record(1))
    reader = Reader(log, "json-file")
    reader.read()
    reader.follower.close()
    for n in range(2, 5):
        for number in range(n - 2, 0, -1):
            shutil.move(f"{log}.{number}", f"{log}.{number + 1}")
        shutil.move(log, f"{log}.1")
        append(log, record(n))
    compress(tmp_path / "abc-json.log.2")
    reader.start()
    assert settle(reader) == b"".join(record(n) for n in range(1, 5))
    assert reader.days == ["2026-01-31"] * len(reader.days)


def test_truncation_in_place_is_a_gap(log):
    append(log, lines(1, 2))
    reader = Reader(log)
    reader.read()
    append(log, lines(3)[:-1])
    reader.read()
    log.write_bytes(b"")
    append(log, lines(9))
    assert settle(reader) == lines(1, 2, 9)
    assert [(gap.cause, gap.amount, gap.unit) for gap in reader.gaps] == [
        ("log_vanished", len(line(3)) - 1, "bytes")
    ]


def test_truncated_and_grown_beyond_the_old_offset(log):
    append(log, lines(1))
    reader = Reader(log)
    reader.read()
    os.truncate(log, 0)
    append(log, lines(*range(10, 20)))
    assert settle(reader) == lines(1, *range(10, 20))
    assert [gap.cause for gap in reader.gaps] == ["log_vanished"]


def test_copy_and_truncate_reads_the_rest_from_the_copy(log):
    append(log, lines(1))
    reader = Reader(log)
    reader.read()
    append(log, lines(2))
    shutil.copy(log, log.with_name("0.log.1"))
    os.truncate(log, 0)
    append(log, lines(3))
    assert settle(reader) == lines(1, 2, 3)
    assert not reader.gaps


def test_inode_reuse_is_a_new_file(log):
    append(log, lines(1))
    reader = Reader(log)
    reader.read()
    reader.follower.close()
    reader.checkpoints["s1"]["inode"] = 0
    log.write_bytes(lines(*range(5, 9)))
    reader.checkpoints["s1"]["inode"] = log.stat().st_ino
    reader.start()
    assert settle(reader) == lines(1, 5, 6, 7, 8)
    assert [gap.cause for gap in reader.gaps] == ["log_vanished"]


def test_deleted_pod_is_read_to_its_end(tmp_path):
    folder = tmp_path / "pod"
    folder.mkdir()
    append(folder / "0.log", lines(1))
    reader = Reader(folder / "0.log")
    reader.read()
    append(folder / "0.log", lines(2, 3) + line(4)[:-1])
    shutil.rmtree(folder)
    assert reader.finish() == lines(1, 2, 3, 4)
    assert reader.checkpoints["s1"]["ended"]
    reader.follower._swept = -1000
    reader.read()
    assert reader.checkpoints == {}
    assert not reader.gaps


def test_dead_container_is_not_read_again_after_a_restart(log):
    append(log, lines(1) + line(2, tag="P", text="unfinished ") + line(3)[:-1])
    reader = Reader(log)
    expected = lines(1) + line(2, text="unfinished line 3")
    assert reader.finish() == expected
    reader.restart()
    assert reader.finish() == expected
    assert not reader.gaps


def test_files_gone_during_a_restart_are_a_gap(log):
    append(log, lines(1))
    reader = Reader(log)
    reader.read()
    reader.follower.close()
    log.unlink()
    reader.start()
    reader.finish()
    assert [gap.cause for gap in reader.gaps] == ["log_vanished"]


def test_stream_that_nobody_follows_any_more_is_forgotten_with_a_gap(log):
    append(log, lines(1))
    reader = Reader(log)
    reader.read()
    reader.follower.close()
    log.unlink()
    follower = Follower(reader.checkpoints, Identity(node="n1"))
    follower._swept = -1000
    found = follower.read()
    assert found.checkpoints == {"s1": None}
    assert [(gap.cause, gap.identity.node, gap.identity.container_id) for gap in found.gaps] == [
        ("log_vanished", "n1", "s1")
    ]


def test_parts_are_joined_across_rotation_and_restart(log):
    append(log, line(1, tag="P", text="one ") + line(2, "stderr", "P", "ein "))
    reader = Reader(log)
    reader.read()
    reader.restart()
    log.rename(log.with_name("0.log.20260131-120000"))
    append(log, line(3, tag="F", text="two") + line(4, "stderr", "F", "zwei"))
    assert settle(reader) == line(1, text="one two") + line(2, "stderr", text="ein zwei")


def test_line_longer_than_a_read_comes_in_pieces_with_nothing_lost(log):
    text = "".join(chr(97 + n % 26) * 1000 for n in range(2600))
    append(log, lines(1) + line(2, text=text) + lines(3))
    reader = Reader(log)
    for _ in range(4):
        reader.read(1 << 19)
        reader.restart()
    found = reader.read().splitlines()
    assert [part.split(b" ", 3)[:3] for part in found[1:-1]] == [line(2).split(b" ", 3)[:3]] * (
        len(found) - 2
    )
    assert b"".join(part.split(b" ", 3)[3] for part in found[1:-1]).decode() == text
    assert found[-1] + b"\n" == lines(3)
    assert [(gap.cause, gap.amount) for gap in reader.gaps] == [("line_too_long", 1)]


def test_binary_garbage_is_shipped_as_it_is(log):
    data = os.urandom(300_000).replace(b"\n", b"") + b"\n\n\0\0\0\n" + lines(1)
    append(log, data)
    assert Reader(log).read() == data


def test_midnight_splits_a_chunk(log):
    append(log, line(0) + line(12 * 3_600_000 - 1) + line(12 * 3_600_000) + line(12 * 3_600_000 + 1))
    reader = Reader(log)
    reader.read()
    assert reader.days == ["2026-01-31", "2026-02-01"]


def test_clock_that_runs_wild_does_not_make_partitions(log):
    append(log, b"2999-01-01T00:00:00Z stdout F later\n1970-01-01T00:00:00Z stdout F earlier\n")
    reader = Reader(log)
    reader.read()
    assert set(reader.days) == {f"{datetime.now(UTC):%Y-%m-%d}"}
    assert b"later" in reader.data
    assert b"earlier" in reader.data


def test_symbolic_link_and_fifo_are_refused(tmp_path):
    secret = tmp_path / "shadow"
    secret.write_text("root:x\n")
    (tmp_path / "a.log").symlink_to(secret)
    os.mkfifo(tmp_path / "b.log")
    assert Reader(tmp_path / "a.log").read() == b""
    assert Reader(tmp_path / "b.log").read() == b""


def test_corrupt_compressed_file_is_a_gap_and_the_rest_goes_on(log):
    append(log, lines(*range(1000)))
    packed = compress(log.rename(log.with_name("0.log.20260131-120000")))
    packed.write_bytes(packed.read_bytes()[:-500])
    append(log, lines(2000))
    reader = Reader(log)
    assert settle(reader).endswith(lines(2000))
    assert [gap.cause for gap in reader.gaps] == ["log_vanished"]


def test_reading_time_is_dealt_out_fairly(tmp_path):
    follower = Follower({})
    for name in ("busy", "quiet"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "0.log"
        append(path, lines(1) * (200_000 if name == "busy" else 1))
        follower.watch(LogTarget(name, path, "cri", Identity(container=name)))
    found = follower.read(2 << 20)
    assert {unpack(row)["container"] for batch in found.batches for row in batch.chunks} == {"busy", "quiet"}
    assert found.size <= 3 << 20


def test_identity_may_become_better_later(log):
    append(log, lines(1))
    follower = Follower({})
    follower.watch(LogTarget("s", log, "cri", Identity()))
    follower.read()
    follower.update("s", Identity(namespace="shop"))
    append(log, lines(2))
    assert unpack(follower.read().batches[0].chunks[0])["namespace"] == "shop"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from("wwwhrcsR"), max_size=25))
def test_any_history_of_writes_rotations_and_restarts_keeps_each_line_once(tmp_path_factory, steps):
    """w: write a line, h: half of one, r: rotate, c: compress a rotated file, s: read, R: restart, too."""
    log = tmp_path_factory.mktemp("history") / "0.log"
    reader = Reader(log)
    written, half, rotations = b"", b"", 0
    for n, step in enumerate(steps):
        if step == "w":
            append(log, half[10:] + line(n) if half else line(n))
            written, half = written + half + line(n), b""
        elif step == "h" and not half:
            half = line(n)
            append(log, half[:10])
        elif step == "r" and log.exists() and not half:
            log.rename(log.with_name(f"0.log.20260131-{rotations:06d}"))
            rotations += 1
        elif step == "c":
            old = sorted(path for path in log.parent.glob("0.log.*") if path.suffix != ".gz")
            if len(old) > 1:
                compress(old[0])
        elif step in "sR":
            reader.read()
            if step == "R":
                reader.restart()
    if half:
        append(log, half[10:])
        written += half
    assert reader.finish() == written
    assert not reader.gaps


@pytest.mark.parametrize("others", [0, 3000])
def test_rotation_and_compression_while_the_folder_is_being_listed(log, others):
    """Readers that start anew all the time meet the folder in every state of a rotation.

    With many other files it takes several system calls to list, between which files are renamed.
    """
    for n in range(others):
        log.with_name(f"{n}-of-another-container.log").touch()
    written: list[bytes] = []
    stop = threading.Event()

    def rotate() -> None:
        kept: list[Path] = []
        for n in range(10**6):
            if stop.is_set():
                return
            written.append(line(n))
            append(log, line(n))
            kept.append(log.rename(log.with_name(f"0.log.20260131-{n:06d}")))
            if len(kept) > 2:
                compress_by_rename(kept.pop(0))
            if n % 2:
                time.sleep(0.001)
            while len(list(log.parent.iterdir())) > 30 + others and not stop.is_set():
                time.sleep(0.005)
                delete_read(log, reader.data.count(b"\n"))

    reader = Reader(log)
    writer = threading.Thread(target=rotate)
    writer.start()
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        for _ in range(3):
            reader.read()
        reader.restart()
    stop.set()
    writer.join()
    settle(reader)
    assert reader.finish() == b"".join(written)
    assert not reader.gaps


def compress_by_rename(path: Path) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(gzip.compress(path.read_bytes()))
    temporary.rename(path.with_name(path.name + ".gz"))
    path.unlink()


def delete_read(log: Path, read: int) -> None:
    for old in sorted(log.parent.glob("0.log.*.gz"))[:10]:
        if int(old.name[-9:-3]) < read - 5:
            old.unlink()


def test_a_folder_whose_name_is_no_utf8_is_read_like_others(tmp_path):
    folder = tmp_path / os.fsdecode(b"ns_\xff_uid")
    folder.mkdir()
    log = folder / "0.log"
    append(log, line(1))
    name, identity = f"path:{log}", Identity(pod=os.fsdecode(b"\xff"))
    with contextlib.closing(Spool(tmp_path / "spool", Identity())) as spool:
        first = Follower(spool.checkpoints())
        first.watch(LogTarget(name, log, "cri", identity))
        found = first.read()
        assert found.size == len(line(1))
        spool.append(log_drafts(found.batches), found.checkpoints)
        second = Follower(spool.checkpoints())
        assert list(second.resting()) == [str(log)]
        second.watch(LogTarget(name, log, "cri", identity))
        append(log, line(2))
        assert second.read().size == len(line(2))


@contextlib.contextmanager
def no_more_files():
    """This process may open nothing, as long as it lasts."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def refuse(monkeypatch, path: Path, number: int) -> None:
    """Opening that file fails; root may open everything, and no disk here is broken."""
    really = os.open

    def refusing(name, *more, **options):
        if name == path:
            raise OSError(number, os.strerror(number), str(path))
        return really(name, *more, **options)

    monkeypatch.setattr("keelwatch.capture.logs.files.os.open", refusing)


def rotate(log: Path, name: str) -> Path:
    target = log.with_name(f"0.log.{name}")
    log.rename(target)
    return target


@pytest.mark.parametrize("running", [True, False])
def test_a_file_that_cannot_be_opened_is_waited_for(log, monkeypatch, running):
    append(log, lines(1))
    reader = Reader(log)
    if running:
        assert reader.read() == lines(1)
    append(log, lines(2))
    rotate(log, "20260131-000001")
    append(log, lines(3))
    second = rotate(log, "20260131-000002")
    append(log, lines(4))
    with monkeypatch.context() as patched:
        refuse(patched, second, errno.EMFILE)
        assert settle(reader) == lines(1, 2)
        reader.follower.end("s1")
        assert settle(reader) == lines(1, 2)
        assert reader.follower.streams
    assert reader.finish() == lines(1, 2, 3, 4)
    assert not reader.gaps


def test_a_file_that_stays_shut_is_given_up_and_counted_once(log, monkeypatch):
    monkeypatch.setattr(stream_module, "GIVE_UP", 0.1)
    append(log, lines(1))
    first = rotate(log, "20260131-000001")
    append(log, lines(2))
    refuse(monkeypatch, first, errno.EIO)
    reader = Reader(log)
    assert reader.read() == b""
    time.sleep(0.15)
    settle(reader)
    assert settle(reader) == lines(2)
    assert [(gap.cause, gap.amount, gap.unit) for gap in reader.gaps] == [
        ("log_vanished", len(lines(1)), "bytes")
    ]


def test_a_restart_waits_for_the_file_it_was_reading(log, monkeypatch):
    append(log, lines(1))
    old = rotate(log, "20260131-000001")
    append(log, lines(2))
    reader = Reader(log)
    assert settle(reader) == lines(1, 2)
    append(log, lines(3))
    with monkeypatch.context() as patched:
        refuse(patched, log, errno.EMFILE)
        reader.restart()
        assert settle(reader) == lines(1, 2)
    assert old.exists()
    assert settle(reader) == lines(1, 2, 3)
    assert not reader.gaps


def test_with_too_many_files_open_nothing_is_taken_for_gone(log, monkeypatch):
    monkeypatch.setattr("keelwatch.capture.logs.follower.SWEEP_EVERY", 0.0)
    append(log, lines(1))
    reader = Reader(log)
    assert settle(reader) == lines(1)
    append(log, lines(2))
    checkpoint = dict(reader.checkpoints)
    with no_more_files():
        reader.follower.close()
        reader.start()
        reader.follower.end("s1")
        assert settle(reader) == lines(1)
        assert reader.follower.streams
        assert not Follower(checkpoint).read().checkpoints
    assert reader.finish() == lines(1, 2)
    assert not reader.gaps
    assert is_gone(log.with_name("other"))
