"""What an inventory writes after a restart, into a real store: only what changed meanwhile."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keelwatch.ingest.recorder import Recorder
from keelwatch.inventory import history
from keelwatch.inventory.inventory import Inventory
from keelwatch.inventory.objects import KubeObject, OwnerRef
from keelwatch.inventory.teams import TeamRules
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.database import StoreError
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate

NAMESPACE = KubeObject("Namespace", "", "shop", "u-ns", labels=(("team", "payments"),))
DEPLOYMENT = KubeObject("Deployment", "shop", "checkout", "u-d", revision="1")
REPLICA_SET = KubeObject(
    "ReplicaSet", "shop", "checkout-5d", "u-rs", owner=OwnerRef("Deployment", "checkout", "u-d")
)
POD = KubeObject(
    "Pod", "shop", "checkout-5d-x1", "u-p", node="n1", owner=OwnerRef("ReplicaSet", "checkout-5d", "u-rs")
)
OBJECTS = (NAMESPACE, DEPLOYMENT, REPLICA_SET, POD)
VALUES = ("kind", "event", "workload_kind", "workload", "team", "revision")


class World:
    """A store, and hubs that come and go."""

    def __init__(self, folder: Path) -> None:
        self.database = EmbeddedDatabase(folder / "store")
        migrate(self.database, EMBEDDED)
        (folder / "ingest").mkdir()
        self.recorder = Recorder(self.database, folder, folder / "ingest")

    def watch(self, objects: Sequence[KubeObject]) -> None:
        """A hub lists these objects, in this order, writes what it has to, and ends."""
        inventory = Inventory("prod", TeamRules("team"), self.database, self.recorder.write)
        inventory.history.start()
        for one in objects:
            inventory.put(one)
        for one in OBJECTS:
            inventory.listed(one.kind, {one.uid})
        inventory.history.stop()

    def rows(self) -> list[tuple[object, ...]]:
        found = self.database.query("SELECT * FROM objects ORDER BY time, seq, row", {})
        return [tuple(row[name] for name in VALUES) for row in found]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("inventory"))
    made.watch(OBJECTS)
    yield made
    made.database.close()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_nothing_is_written_whatever_is_listed_first(world: World, order: Sequence[int]) -> None:
    """Kinds are listed side by side, and until its namespace is known, a pod has another team, say."""
    before = world.rows()
    assert len(before) == 4
    assert before[-1][2:5] == ("Deployment", "checkout", "payments")
    world.watch([OBJECTS[at] for at in order])
    assert world.rows() == before


def test_what_changed_meanwhile_is_written_once(world: World) -> None:
    before = world.rows()
    world.watch([POD, REPLICA_SET, replace(DEPLOYMENT, revision="2"), NAMESPACE])
    assert world.rows()[len(before) :] == [
        ("Deployment", "changed", "Deployment", "checkout", "payments", "2")
    ]


class Sick:
    """A store that answers no question while it is `down`."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database
        self.down = False
        self.asked = threading.Event()

    def lookup(self, *asked: Any) -> list[dict[str, Any]]:
        if self.down:
            self.asked.set()
            raise StoreError("Code: 241. Memory limit exceeded")
        return self._database.lookup(*asked)


def test_what_changed_meanwhile_outlives_a_store_that_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_PAUSE", 0.05)
    before, sick = world.rows(), Sick(world.database)
    inventory = Inventory("prod", TeamRules("team"), sick, world.recorder.write)  # type: ignore[arg-type]
    inventory.history.start()
    sick.down = True
    for one in (NAMESPACE, replace(DEPLOYMENT, revision="3"), REPLICA_SET):
        inventory.put(one)
    for one in OBJECTS:
        inventory.listed(one.kind, {one.uid} - {"u-p"})  # the pod went while no hub was there
    assert sick.asked.wait(10)
    sick.down = False
    inventory.history.stop()
    assert world.rows()[len(before) :] == [
        ("Deployment", "changed", "Deployment", "checkout", "payments", "3"),
        ("Pod", "gone", "Deployment", "checkout", "payments", ""),
    ]


def test_all_that_is_held_is_written_at_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BATCH", 1)
    before = world.rows()
    later = [replace(POD, uid=f"u-p{number}", name=f"checkout-5d-y{number}") for number in range(5)]
    world.watch([NAMESPACE, replace(DEPLOYMENT, revision="3"), REPLICA_SET, *later])
    assert len(world.rows()) == len(before) + 10, "each came, and went with the list"
