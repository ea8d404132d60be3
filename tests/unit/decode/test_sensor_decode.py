"""decode/sensor.py: any bytes give observations or counted errors, never an exception."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.decode import sensor
from keelwatch.decode.sensor import decode, join_path
from keelwatch.model.observation import KINDS

TEXTS = st.lists(st.binary(max_size=60), min_size=5, max_size=5)


def head(kind: str, texts: list[bytes], call: str = "openat", result: int = 0, **known: int) -> bytes:
    sources = known.get("path_source", 1), known.get("old_path_source", 0)
    return sensor.HEAD.pack(
        *(10, result, 20, 30, 40, 100, 101, 99, 1, 2, 3, 0xFFFFFFFF, 4026531840),
        *(KINDS.index(kind) + 1, sensor.CALLS.index(call), known.get("phase", 0), *sources, 0),
        *(len(text) for text in texts),
        known.get("visit", 0),
        *(bytes(range(32)), b"name\0rest"),
    )


def record(kind: str, texts: list[bytes], **known: int | str) -> bytes:
    fixed = sensor._READERS[KINDS.index(kind)][0]
    body = head(kind, texts, **known)  # type: ignore[arg-type]
    body += bytes(fixed - len(body)) + b"".join(texts)
    return struct.pack("<I", len(body)) + body


def one(data: bytes) -> sensor.Observation:
    found, errors = decode(data)
    assert errors == 0
    assert len(found) == 1
    return found[0]


@given(st.binary(max_size=2000))
def test_random_bytes_never_raise(data: bytes) -> None:
    found, errors = decode(data)
    assert found or errors or not data


@given(st.sampled_from(KINDS), TEXTS, st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_damaged_records_never_raise(kind: str, texts: list[bytes], at: int, damage: bytes) -> None:
    whole = bytearray(record(kind, texts))
    at = min(at, len(whole) - 1)
    whole[at : at + len(damage)] = damage
    decode(bytes(whole))


@given(st.lists(st.tuples(st.sampled_from(KINDS), TEXTS), max_size=5))
def test_whole_records_are_all_found(parts: list[tuple[str, list[bytes]]]) -> None:
    found, errors = decode(b"".join(record(kind, texts) for kind, texts in parts))
    assert [observation.kind for observation in found] == [kind for kind, _ in parts]
    assert errors == 0


@given(st.sampled_from(KINDS), TEXTS, st.integers(1, 300))
def test_a_record_cut_off_is_one_error(kind: str, texts: list[bytes], missing: int) -> None:
    whole = record(kind, texts)
    found, errors = decode(whole + whole[: max(1, len(whole) - missing)])
    assert len(found) == 1
    assert errors == 1


def test_the_head() -> None:
    seen = one(record("exit", [b""] * 5, call="exit", phase=1))
    assert (seen.kind, seen.syscall, seen.phase, seen.comm) == ("exit", "exit", "setup", "name")
    assert (seen.time, seen.start, seen.parent_start, seen.cgroup_id) == (10, 20, 30, 40)
    assert (seen.pid, seen.tid, seen.ppid, seen.uid, seen.euid, seen.gid) == (100, 101, 99, 1, 2, 3)
    assert seen.loginuid == -1
    assert seen.container_id == bytes(range(32)).hex()


def test_exec_texts() -> None:
    texts = [b"/usr/bin/dash", b"/srv/app", b"../run.sh", b"sh\0\0a b\0", b"PATH=/bin\0LD_PRELOAD=x=y\0"]
    seen = one(record("exec", texts, call="execve"))
    assert (seen.path, seen.cwd, seen.script) == ("/usr/bin/dash", "/srv/app", "/srv/run.sh")
    assert seen.argv == ("sh", "", "a b")
    assert seen.environment == {"PATH": "/bin", "LD_PRELOAD": "x=y"}


def test_a_refused_exec_has_the_callers_path() -> None:
    seen = one(record("exec", [b"bin/x", b"/srv", b"", b"", b""], call="execveat", result=-13, path_source=2))
    assert (seen.path, seen.path_source, seen.result, seen.argv) == ("/srv/bin/x", "user", -13, ())


def test_names_that_are_not_utf8_are_escaped() -> None:
    seen = one(record("open", [b"/tmp/\xff\n", b"", b"", b"", b""]))
    assert seen.path == "/tmp/\\xff\n"


def test_rename_has_two_paths() -> None:
    seen = one(record("rename", [b"new", b"/a", b"/b/../old", b"", b""], call="rename", path_source=2))
    assert (seen.path, seen.old_path) == ("/a/new", "/old")


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        ([b"in/side", b"/srv", b"", b"", b""], True),
        ([b"/out/side", b"", b"", b"", b""], False),
        ([b"/out/side", b"", b"in/side", b"/srv", b""], True),
    ],
)
def test_a_host_process_in_a_containers_directory(texts: list[bytes], kept: bool) -> None:
    found, errors = decode(record("rename", texts, call="rename", path_source=2, visit=2))
    assert (len(found), errors) == (int(kept), 0)


@pytest.mark.parametrize(
    ("base", "path", "whole"),
    [
        ("/a", "b", "/a/b"),
        ("/a", "./b/../c//d/.", "/a/c/d"),
        ("/a", "/b", "/b"),
        ("/", "../../x", "/x"),
        ("/a/b", "", "/a/b"),
        ("", "", ""),
        ("", "x", "/x"),
    ],
)
def test_join_path(base: str, path: str, whole: str) -> None:
    assert join_path(base, path) == whole


@given(st.text(alphabet="/.ab", max_size=12), st.text(alphabet="/.ab", max_size=12))
def test_joined_paths_are_normal(base: str, path: str) -> None:
    whole = join_path(base, path)
    assert whole == "" or whole.startswith("/")
    assert not {"", ".", ".."} & set(whole.split("/")[1:]) or whole == "/"
