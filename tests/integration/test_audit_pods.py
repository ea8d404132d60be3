"""Which pod an audit event is about: of a real store's history, of the inventory in memory, and of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keelwatch.audit.identity import PodAt
from keelwatch.hub.pods import KNOWN_SECONDS, RECENT, UNKNOWN_SECONDS, Pods
from keelwatch.ingest.recorder import Recorder
from keelwatch.inventory.lives import SECOND, Life
from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.rows import Resolved, to_row
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.database import StoreError
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate

T = 1_768_478_400 * SECOND
DAY = 86_400.0


def at(seconds: float) -> int:
    return T + int(seconds * SECOND)


def version(
    event: str, seconds: float, uid: str, created: float, cluster: str = "c", **more: str
) -> dict[str, Any]:
    team = more.pop("team", "pay")
    one = KubeObject("Pod", "shop", "web-0", uid, created=at(created), **more)  # type: ignore[arg-type]
    return to_row(event, at(seconds), cluster, one, Resolved("StatefulSet", "web", team, "pod label"))


HISTORY = [
    version("added", 0.3, "u-1", 0),
    version("changed", 0.9, "u-1", 0, node="n1", revision="a"),
    version("changed", 50, "u-1", 0, node="n1", revision="a", team="shop"),
    version("deleted", 100.4, "u-1", 0, node="n1", revision="a", team="shop"),
    version("added", 100.6, "u-2", 100),
    version("changed", 102, "u-2", 100, node="n2", revision="b"),
    version("added", 60, "u-other", 60, cluster="other", node="n9"),
]


class Store:
    """A real store whose questions are counted."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database
        self.asked = 0
        self.down = False

    def lookup(self, *asked: Any) -> list[dict[str, Any]]:
        self.asked += 1
        if self.down:
            raise StoreError("down")
        return self._database.lookup(*asked)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedDatabase]:
    folder = tmp_path_factory.mktemp("pods")
    database = EmbeddedDatabase(folder / "store")
    migrate(database, EMBEDDED)
    (folder / "ingest").mkdir()
    Recorder(database, folder, folder / "ingest").write("objects", HISTORY)
    yield database
    database.close()


class World:
    """Pods at a time of our choice."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self.store = Store(database)
        self.living: list[Life] = []
        self.time = at(DAY)
        self.seconds = 0.0
        self.pods = Pods(
            self.store,  # type: ignore[arg-type]
            "c",
            lambda _namespace, name: self.living if name == "web-0" else [],
            lambda: self.seconds,
            lambda: self.time,
        )

    def uid(self, seconds: float, name: str = "web-0", **more: Any) -> str:
        found = self.pods(PodAt("shop", name, at(seconds), **more))
        return found.pod_uid if found else ""


@pytest.fixture
def world(filled: EmbeddedDatabase) -> World:
    return World(filled)


def test_the_pod_of_then_and_not_of_now(world: World) -> None:
    times = (-60, 1, 99.9, 100.2, 100.5, 101, 500)
    assert [world.uid(seconds) for seconds in times] == ["", "u-1", "u-1", "u-1", "u-2", "u-2", "u-2"]


@pytest.mark.parametrize("order", [(1, 99.9, 101, 500), (500, 101, 99.9, 1), (99.9, 500, 1, 101)])
def test_no_answer_is_remembered_for_another_pod(world: World, order: tuple[float, ...]) -> None:
    wanted = {1: "u-1", 99.9: "u-1", 101: "u-2", 500: "u-2"}
    for _ in range(2):
        assert [world.uid(seconds) for seconds in order] == [wanted[seconds] for seconds in order]


def test_owner_and_team_are_those_of_then(world: World) -> None:
    found = [world.pods(PodAt("shop", "web-0", at(seconds))) for seconds in (0.5, 20, 60, 100.1, 101, 300)]
    assert [(one.node, one.revision, one.team) for one in found if one] == [
        ("n1", "a", "pay"),
        ("n1", "a", "pay"),
        ("n1", "a", "shop"),
        ("n1", "a", "shop"),
        ("n2", "b", "pay"),
        ("n2", "b", "pay"),
    ]
    assert found[0] is not None
    assert found[0].identity_source.startswith("pod_uid=kubernetes node=kubernetes workload_kind=kubernetes")


def test_a_name_is_asked_for_once_while_nothing_changed(world: World) -> None:
    assert {world.uid(seconds) for seconds in range(200, 300)} == {"u-2"}
    assert world.store.asked == 1
    world.seconds += KNOWN_SECONDS
    world.uid(300)
    assert world.store.asked == 2


def test_what_is_not_known_is_asked_for_again_soon(world: World) -> None:
    assert [world.uid(seconds, "web-9") for seconds in (1, 2)] == ["", ""]
    assert world.store.asked == 1
    world.seconds += UNKNOWN_SECONDS
    world.uid(3, "web-9")
    assert world.store.asked == 2


def test_a_pod_that_lives_needs_no_store(world: World) -> None:
    world.store.down = True
    world.time = at(300)
    world.living = [Life("u-2", at(100), node="n2")]
    assert world.uid(299) == "u-2"
    with pytest.raises(StoreError):
        world.uid(99)
    with pytest.raises(StoreError):
        world.uid(299 - RECENT / SECOND)


def test_a_pod_that_came_again_within_a_second_is_known_before_it_is_stored(world: World) -> None:
    world.time = at(1000)
    world.living = [
        Life("u-2", at(100), ended=at(999.2)),
        Life("u-3", at(999)),
    ]
    assert [world.uid(seconds) for seconds in (998, 999.1, 999.3, 1000)] == ["u-2", "u-2", "u-3", "u-3"]
    world.time = at(1000 + DAY)
    assert [world.uid(seconds) for seconds in (998, 999.1, 999.3, 1000)] == ["u-2", "u-2", "u-3", "u-3"]


def test_an_answer_of_the_last_moments_is_not_remembered(world: World) -> None:
    world.time = at(205)
    assert world.uid(204) == "u-2"
    world.living = [Life("u-2", at(100), ended=at(203)), Life("u-3", at(203))]
    assert world.uid(204.5) == "u-3"


def test_the_answers_uid_decides_and_a_new_pod_is_no_old_one(world: World) -> None:
    assert world.uid(100.2, uid="u-2") == "u-2"
    assert world.uid(300, uid="u-7") == "u-7", "not seen yet, but the API server said so"
    assert world.uid(100.3, creates=True) == "u-2"
    assert world.uid(300, creates=True) == ""


@pytest.mark.parametrize("name", ["", "-x", "WEB", "a/b", "x\0", "x" * 300, "é"])
def test_what_no_pod_is_called_is_not_asked_for(world: World, name: str) -> None:
    assert world.uid(1, name) == ""
    assert world.store.asked == 0
