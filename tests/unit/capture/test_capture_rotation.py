"""The order of a log's files, and what does not belong to it."""

import json
import os

import orjson

from keelwatch.capture.logs.files import LogFile, fingerprint, is_file, whole_fingerprint
from keelwatch.capture.logs.position import Position
from keelwatch.capture.logs.rotation import listing
from keelwatch.decode.lines import Part


def names(path):
    return [entry.path.name for entry in listing(path)]


def test_kubelet_order(tmp_path):
    for name in (
        "0.log",
        "0.log.20260102-000000",
        "0.log.20260101-000000.gz",
        "0.log.20260103-000000.gz.tmp",
        "1.log",
    ):
        (tmp_path / name).touch()
    assert names(tmp_path / "0.log") == ["0.log.20260101-000000.gz", "0.log.20260102-000000", "0.log"]


def test_docker_order(tmp_path):
    for name in ("x-json.log", "x-json.log.1", "x-json.log.10.gz", "x-json.log.2.gz"):
        (tmp_path / name).touch()
    assert names(tmp_path / "x-json.log") == [
        "x-json.log.10.gz",
        "x-json.log.2.gz",
        "x-json.log.1",
        "x-json.log",
    ]


def test_plain_file_hides_its_compressed_copy(tmp_path):
    for name in ("0.log", "0.log.20260101-000000", "0.log.20260101-000000.gz"):
        (tmp_path / name).touch()
    assert names(tmp_path / "0.log") == ["0.log.20260101-000000", "0.log"]


def test_links_and_special_files_are_left_out(tmp_path):
    (tmp_path / "0.log").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "0.log.1")
    (tmp_path / "0.log.2").mkdir()
    assert names(tmp_path / "0.log") == []
    assert names(tmp_path / "nowhere" / "0.log") == []


def test_fingerprints_need_a_whole_first_line(tmp_path):
    assert fingerprint(b"") == fingerprint(b"half") == ""
    assert fingerprint(b"line\nmore") == fingerprint(b"line\nother")
    assert fingerprint(b"x" * 300) == fingerprint(b"x" * 256) != ""


def test_fingerprint_of_a_short_end_does_not_fit_a_longer_file(tmp_path):
    path = tmp_path / "0.log"
    path.write_bytes(b"202")
    short = whole_fingerprint(b"202")
    assert is_file(LogFile(path), short)
    path.write_bytes(b"2026-01-01 more\n")
    assert not is_file(LogFile(path), short)


def test_position_survives_json():
    pending = {"stdout": Part(b"2026 stdout F ", b"\xff\x00half", cut=True)}
    position = Position("/p", 7, "3:abc", 99, pending, b"\xffhead ", "2026-01-01", True, ["1:a"])
    assert Position.from_json(position.to_json()) == position
    assert Position.from_json(Position("/p").to_json()) == Position("/p")


def test_position_survives_json_whatever_the_folders_name():
    position = Position(os.fsdecode(b"/logs/\xff/0.log"), 7)
    record = json.loads(orjson.dumps(position.to_json()))
    assert Position.from_json(record) == position
    assert record["path"] == "/logs/\\udcff/0.log"
