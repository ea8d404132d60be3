"""Hostile requests: refused with a reason and the place, and no file left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keelwatch.ingest.unpack import RejectedError, day_start, prepare, receive
from keelwatch.model.batch import MAX_RAW, TABLES, BatchHeader, encode_frame
from tests.hub_support import compress

HEADER = BatchHeader("spool-1", "events", 1, "2026-01-15", 2, "rows", 20, "node-1")
BODY = compress(b'{"time":1}\n{"time":2}\n')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path, TABLES)
    return tmp_path


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.zst")]


def test_bodies_become_files_as_they_are(folder: Path) -> None:
    (batch,) = receive(encode_frame(HEADER, BODY), folder)
    assert batch.path.read_bytes() == BODY
    assert batch.path.name.startswith("spool-1~1~")


@pytest.mark.parametrize(
    "changes",
    [
        {"spool": "../../etc/passwd"},
        {"spool": "a~b"},
        {"spool": "a\n"},
        {"spool": "{a,b}"},
        {"spool": ""},
        {"spool": 7},
        {"seq": 0},
        {"seq": "1"},
        {"seq": True},
        {"seq": 1 << 63},
        {"rows": -1},
        {"raw": MAX_RAW + 1},
        {"day": "2026-1-5"},
        {"day": "2026-02-30"},
        {"day": "1999-12-31"},
        {"day": "2126-01-01"},
        {"day": None},
        {"format": "chunks"},
        {"node": 5},
        {"node": "n" * 300},
    ],
)
def test_bad_headers_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    good = encode_frame(HEADER, BODY)
    with pytest.raises(RejectedError) as caught:
        receive(good + encode_frame(replace(HEADER, **({"seq": 2} | changes)), BODY), folder)
    assert caught.value.header is not None
    assert files(folder) == []


def test_two_spools_in_one_request_are_refused(folder: Path) -> None:
    with pytest.raises(RejectedError, match="two spools"):
        receive(encode_frame(HEADER, BODY) + encode_frame(replace(HEADER, spool="other"), BODY), folder)
    assert files(folder) == []


def test_a_body_that_is_not_zstd_is_refused(folder: Path) -> None:
    with pytest.raises(RejectedError, match="zstd"):
        receive(encode_frame(HEADER, b"plain text"), folder)


def test_a_bomb_is_refused_by_its_announced_size(folder: Path) -> None:
    with pytest.raises(RejectedError, match="unpacks"):
        receive(encode_frame(HEADER, compress(bytes(MAX_RAW + 1))), folder)


def test_an_empty_request_is_refused(folder: Path) -> None:
    with pytest.raises(RejectedError, match="no batch"):
        receive(b"", folder)


def test_what_a_killed_hub_left_is_deleted(folder: Path) -> None:
    (folder / "logs" / "x~1~0.zst").write_bytes(b"")
    prepare(folder, TABLES)
    assert files(folder) == []


def test_days_begin_at_midnight_utc() -> None:
    assert day_start("1970-01-02") == 86_400 * 10**9


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_is_refused_or_harmless(folder: Path, data: st.DataObject) -> None:
    frame = bytearray(encode_frame(HEADER, BODY))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RejectedError):
        receive(bytes(frame), folder)
    assert files(folder) == []


def test_a_header_with_other_fields_is_refused(folder: Path) -> None:
    head = orjson.dumps({"spool": "x", "extra": 1})
    frame = encode_frame(HEADER, BODY)
    size = int.from_bytes(frame[4:8], "little")
    with pytest.raises(RejectedError):
        receive(frame[:4] + len(head).to_bytes(4, "little") + frame[8:16] + head + frame[16 + size :], folder)
