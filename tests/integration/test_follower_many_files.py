"""A follower that stays far behind a log which is rotated often: what is on the disk is read, all of it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keelwatch.capture.logs import Follower, LogTarget
from keelwatch.capture.logs import stream as stream_module
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity

FILES = 300


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "GRACE", 0.05)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "0.log"


def line(n: int) -> bytes:
    return f"2026-01-31T12:00:00.{n:09d}Z stdout F line {n}\n".encode()


def write(log: Path, first: int, last: int) -> None:
    """One line a file, each rotated away but for the last."""
    for n in range(first, last + 1):
        if log.exists():
            log.rename(log.with_name(f"0.log.20260131-{n - 1:06d}"))
        log.write_bytes(line(n))


def rounds(follower: Follower) -> Iterator[tuple[int, list[Gap]]]:
    """Lines read and gaps of each round, until the stream has ended."""
    deadline = time.monotonic() + 60
    while follower.streams:
        assert time.monotonic() < deadline, "it does not come to an end"
        follower._held = 0.0
        found = follower.read()
        yield sum(batch.lines for batch in found.batches), found.gaps
        time.sleep(0.005)


@pytest.mark.parametrize("known", [True, False])
def test_no_file_is_given_up_because_there_are_many(log: Path, known: bool) -> None:
    follower = Follower({})
    if known:
        write(log, 1, 1)
    else:
        write(log, 1, FILES)
    follower.watch(LogTarget("s1", log, "cri", Identity()))
    if known:
        write(log, 2, FILES)
        follower.hold()
    open_files = len(follower._streams["s1"]._files)
    follower.end("s1")
    found = list(rounds(follower))
    assert open_files <= stream_module.MAX_HELD
    assert sum(lines for lines, _ in found) == FILES
    assert [gap for _, gaps in found for gap in gaps] == []


def test_what_was_deleted_before_its_turn_is_a_gap(log: Path) -> None:
    write(log, 1, FILES)
    follower = Follower({})
    follower.watch(LogTarget("s1", log, "cri", Identity()))
    deleted = log.with_name("0.log.20260131-000100")
    deleted.unlink()
    follower.end("s1")
    found = list(rounds(follower))
    assert sum(lines for lines, _ in found) == FILES - 1
    assert [gap.cause for _, gaps in found for gap in gaps] == ["log_vanished"]
