"""What becomes of audit events when the store does not answer, in a real store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from keelwatch.audit import follow
from keelwatch.audit.follow import Follower
from keelwatch.audit.parse import Parsed, parse_list
from keelwatch.audit.writer import AuditSettings, AuditWriter, UnavailableError
from keelwatch.detect.rules import RuleSet
from keelwatch.ingest.recorder import Recorder
from keelwatch.model.identity import Identity
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.database import StoreError
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate

HEAD = {"apiVersion": "audit.k8s.io/v1", "kind": "Event"}


def raw(number: int) -> dict[str, Any]:
    return HEAD | {
        "level": "Metadata", "auditID": f"id-{number}", "stage": "ResponseComplete", "verb": "get",
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-0"},
        "stageTimestamp": f"2026-01-15T12:00:00.{number:06}Z",
    }  # fmt: skip


def parsed(*numbers: int) -> Parsed:
    whole = {"kind": "EventList", "apiVersion": HEAD["apiVersion"], "items": [raw(one) for one in numbers]}
    return parse_list(orjson.dumps(whole))


class World:
    """A store, a writer, and what the next questions for a pod come to."""

    def __init__(self, folder: Path) -> None:
        self.database = EmbeddedDatabase(folder / "store")
        migrate(self.database, EMBEDDED)
        (folder / "ingest").mkdir()
        self.recorder = Recorder(self.database, folder, folder / "ingest")
        self.errors: list[Exception] = []
        settings = AuditSettings(lambda: RuleSet([]), "c", self.identify)
        self.writer = AuditWriter(self.database, self.recorder, settings)
        self.writer.start()

    def identify(self, *_: object) -> Identity | None:
        if self.errors:
            raise self.errors.pop(0)
        return Identity(namespace="shop", pod="web-0", pod_uid="u-1")

    def stored(self, *ids: int) -> list[tuple[str, str]]:
        names = {"ids": [f"id-{one}" for one in ids]}
        sql = "SELECT audit_id, pod_uid FROM audit WHERE audit_id IN {ids:Array(String)} ORDER BY audit_id"
        return [(row["audit_id"], row["pod_uid"]) for row in self.database.query(sql, names)]

    def faults(self) -> int:
        return len(self.database.query("SELECT 1 AS one FROM gaps WHERE cause = 'fault'", {}))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("audit"))
    yield made
    made.writer.stop()
    made.database.close()


def test_a_store_that_does_not_answer_refuses_all_and_remembers_nothing(world: World) -> None:
    world.errors = [StoreError("Code: 241. Memory limit exceeded")]
    with pytest.raises(UnavailableError, match="Memory limit"):
        world.writer.submit(parsed(1, 2), "webhook", "").result(10)
    assert (world.stored(1, 2), world.faults()) == ([], 0)
    outcome = world.writer.submit(parsed(1, 2), "webhook", "").result(10)
    assert (outcome.stored, outcome.repeated) == (2, 0)
    assert world.stored(1, 2) == [("id-1", "u-1"), ("id-2", "u-1")]


def test_a_file_is_read_again(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.1)
    log = tmp_path / "audit.log"
    log.write_bytes(b"".join(orjson.dumps(raw(one)) + b"\n" for one in (11, 12)))
    world.errors = [StoreError("Code: 241. Memory limit exceeded")]
    follower = Follower(log, world.writer, world.recorder, tmp_path)
    follower.start()
    deadline = time.monotonic() + 10
    while len(world.stored(11, 12)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    follower.stop()
    assert world.stored(11, 12) == [("id-11", "u-1"), ("id-12", "u-1")]


def test_a_mistake_of_one_event_stops_no_other(world: World) -> None:
    world.errors = [ValueError("a mistake of ours")]
    world.writer.submit(parsed(21, 22), "webhook", "").result(10)
    assert (world.stored(21, 22), world.faults()) == ([("id-22", "u-1")], 1)
