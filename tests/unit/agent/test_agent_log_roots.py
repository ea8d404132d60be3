"""Logs of containers that nobody knows any more: followed by their paths, each line once."""

from pathlib import Path

import pytest

from keelwatch.agent.log_roots import PATIENCE, LogRoots
from keelwatch.agent.logs import LogThread
from keelwatch.capture.logs import Follower, LogTarget
from keelwatch.enrich.catalog import Container
from keelwatch.enrich.runtime import ContainerDetails
from keelwatch.model.identity import Identity

HOST = Identity(cluster="c", node="n", identity_source="cluster=config node=config")
LINE = b"2026-01-31T12:00:00.%09dZ stdout F line %d\n"
ID = "ab" * 32


def lines(*numbers: int) -> bytes:
    return b"".join(LINE % (number, number) for number in numbers)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "pods" / "shop_checkout-1_uid-1" / "app" / "2.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(lines(1, 2))
    return path


def content(follower: Follower) -> tuple[bytes, dict]:
    round_ = follower.read()
    return b"".join(chunk for batch in round_.batches for chunk in batch.chunks), round_.checkpoints


def look_twice(roots: LogRoots) -> None:
    roots.look(0.0)
    roots.look(PATIENCE)


def roots_of(log: Path, follower: Follower) -> LogRoots:
    return LogRoots([log.parent.parent.parent], follower, HOST)


def numbers(data: bytes) -> list[int]:
    return [
        n for n in range(10) if f"line {n}\n".encode() in data for _ in range(data.count(b"line %d\n" % n))
    ]


def test_the_path_tells_who_wrote_it(log: Path) -> None:
    follower = Follower({}, HOST)
    roots = roots_of(log, follower)
    roots.look(0.0)
    assert follower.streams == ()  # a runtime may still claim it
    roots.look(PATIENCE)
    data, _ = content(follower)
    assert numbers(data) == [1, 2]
    for text in (b"\x04shop", b"\x0acheckout-1", b"\x05uid-1", b"\x03app", b"restart=path"):
        assert text in data


def test_what_a_container_writes_is_left_alone(log: Path) -> None:
    follower = Follower({}, HOST)
    follower.watch(LogTarget(ID, log, "cri", HOST))
    look_twice(roots_of(log, follower))
    assert follower.streams == (ID,)


def test_a_container_behind_a_link_is_left_alone(log: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "pods")
    follower = Follower({}, HOST)
    follower.watch(LogTarget(ID, tmp_path / "link" / log.relative_to(tmp_path / "pods"), "cri", HOST))
    look_twice(roots_of(log, follower))
    assert follower.streams == (ID,)


def test_a_container_that_is_known_late_goes_on_where_the_path_was_read(log: Path) -> None:
    follower = Follower({}, HOST)
    look_twice(roots_of(log, follower))
    assert numbers(content(follower)[0]) == [1, 2]
    details = ContainerDetails(ID, log_path=str(log), log_format="cri")
    LogThread(None, follower).watch(Container(ID, Identity(container_id=ID), details))  # type: ignore[arg-type]
    with log.open("ab") as file:
        file.write(lines(3))
    data, _ = content(follower)
    assert numbers(data) == [3]
    assert ID.encode() in data


def test_after_a_restart_nothing_is_read_twice(log: Path) -> None:
    first = Follower({}, HOST)
    look_twice(roots_of(log, first))
    _, checkpoints = content(first)
    with log.open("ab") as file:
        file.write(lines(3))
    second = Follower(checkpoints, HOST)
    look_twice(roots_of(log, second))
    assert numbers(content(second)[0]) == [3]


def test_what_a_container_left_unread_while_the_agent_was_down_is_read(log: Path) -> None:
    first = Follower({}, HOST)
    first.watch(LogTarget(ID, log, "cri", HOST))
    _, checkpoints = content(first)
    with log.open("ab") as file:
        file.write(lines(3))
    second = Follower(checkpoints, HOST)  # the container has ended: no runtime knows it
    look_twice(roots_of(log, second))
    data, _ = content(second)
    assert numbers(data) == [3]
    assert ID.encode() in data


def test_a_deleted_file_is_let_go(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keelwatch.capture.logs.stream.GRACE", 0.0)
    follower = Follower({}, HOST)
    roots = roots_of(log, follower)
    look_twice(roots)
    content(follower)
    log.unlink()
    roots.look(PATIENCE + 1)
    content(follower)
    assert follower.streams == ()


@pytest.mark.parametrize(
    "name",
    ["shop_checkout/app/0.log", "a_b_c/app/x.log", "a_b_c/app/0.log.1", "a_b_c_d/app/0.log", "a_b_c/0.log"],
)
def test_other_names_are_not_followed(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(lines(1))
    follower = Follower({}, HOST)
    look_twice(LogRoots([tmp_path, tmp_path / "absent"], follower, HOST))
    assert follower.streams == ()


def test_links_are_not_followed(log: Path, tmp_path: Path) -> None:
    log.unlink()
    log.symlink_to("/etc/passwd")
    follower = Follower({}, HOST)
    look_twice(roots_of(log, follower))
    assert follower.streams == ()
