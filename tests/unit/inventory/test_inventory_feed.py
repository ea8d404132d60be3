"""When agents are told of a pod whose owner is not known yet, and what is forgotten of nodes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from keelwatch.inventory import feed as feed_module
from keelwatch.inventory.feed import IDLE, MAX_GONE, Feed
from keelwatch.inventory.inventory import ORPHAN, Inventory
from keelwatch.inventory.kinds import KINDS
from keelwatch.inventory.objects import KubeObject, OwnerRef
from keelwatch.inventory.teams import TeamRules
from keelwatch.kit import clock

REPLICA_SET = KubeObject("ReplicaSet", "shop", "a-5d", "u-rs", owner=OwnerRef("Rollout", "a", "u-a"))


def pod(created: int = 0) -> KubeObject:
    owner = OwnerRef("ReplicaSet", "a-5d", "u-rs", "apps")
    labels = (("pod-template-hash", "5d"),)
    return KubeObject(
        "Pod", "shop", "a-5d-x", "u-p", created=created or clock.now(), labels=labels, owner=owner, node="n1"
    )


@pytest.fixture
def inventory() -> Inventory:
    return Inventory("c", TeamRules(), None, lambda *_: None)  # type: ignore[arg-type]  # nothing is written


def told(inventory: Inventory, since: int) -> list[tuple[str, str]]:
    return [(one["workload_kind"], one["workload"]) for one in inventory.news("n1", since)["pods"]]


def test_a_pod_waits_for_its_owner_and_is_told_once(inventory: Inventory) -> None:
    version = inventory.news("n1", 0)["version"]
    inventory.put(pod())
    assert not inventory.has_news("n1", version)
    inventory.put(REPLICA_SET)
    assert told(inventory, version) == [("Rollout", "a")]


def test_a_pod_whose_owner_does_not_come_is_told_all_the_same(inventory: Inventory) -> None:
    inventory.news("n1", 0)
    inventory.put(pod())
    version, woken = inventory.news("n1", 0)["version"], []
    leave = inventory.subscribe("n1", lambda: woken.append(1))
    inventory.tell_late(time.monotonic())
    assert not inventory.has_news("n1", version)
    inventory.tell_late(time.monotonic() + ORPHAN)
    leave()
    assert (told(inventory, version), woken) == ([("Deployment", "a")], [1])
    version = inventory.news("n1", version)["version"]
    inventory.put(replace(pod(), phase="Running"))
    assert told(inventory, version) == [("Deployment", "a")], "it waits once"


def test_an_old_pod_does_not_wait(inventory: Inventory) -> None:
    inventory.put(pod(created=1))
    assert told(inventory, 0) == [("Deployment", "a")]


def test_a_pod_that_went_is_not_told_late(inventory: Inventory) -> None:
    inventory.put(pod())
    inventory.remove("u-p")
    inventory.tell_late(time.monotonic() + ORPHAN)
    assert told(inventory, 0) == []


def test_nothing_waits_for_an_owner_that_we_may_not_see(inventory: Inventory) -> None:
    kind = next(one for one in KINDS if one.name == "ReplicaSet")
    inventory.put(pod())
    inventory.refused(kind, refused=True)
    assert told(inventory, 0) == [("Deployment", "a")], "what waited"
    version = inventory.news("n1", 0)["version"]
    inventory.put(replace(pod(), uid="u-p2", name="a-5d-y"))
    assert told(inventory, version) == [("Deployment", "a")], "what comes"
    inventory.refused(kind, refused=False)
    version = inventory.news("n1", 0)["version"]
    inventory.put(replace(pod(), uid="u-p3", name="a-5d-z"))
    assert not inventory.has_news("n1", version)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_node_that_is_gone_is_forgotten() -> None:
    clock = Clock()
    feed = Feed(clock)
    feed.put("n1", "a")
    feed.put("n2", "b")
    for number in range(MAX_GONE):
        feed.put("n1", f"x{number}")
        feed.remove("n1", f"x{number}")
    feed.remove("n1", "a")
    version = feed.version
    clock.now += IDLE + 1
    feed.put("n3", "c")
    assert set(feed._nodes) == {"n2", "n3"}, "n2 has a pod still"
    assert feed.news("n1", version)[:3] == (True, [], []), "one that comes back hears everything"


def test_a_node_that_is_asked_for_or_waited_for_is_kept() -> None:
    clock = Clock()
    feed = Feed(clock)
    leave = feed.subscribe("n1", lambda: None)
    version = feed.news("n2", 0)[3]
    clock.now += IDLE + 1
    assert not feed.has_news("n2", version)
    feed.put("n3", "c")
    assert set(feed._nodes) == {"n1", "n2", "n3"}
    assert not feed.has_news("n2", version), "the news of others are none"
    leave()
    clock.now += IDLE + 1
    feed.put("n4", "d")
    assert set(feed._nodes) == {"n3", "n4"}


def test_names_that_nobody_has_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MAX_NODES", 10)
    feed = Feed()
    feed.put("n1", "a")
    for number in range(100):
        feed.news(f"made-up-{number}", 0)
    assert len(feed._nodes) == 10
    assert feed.news("n1", 0)[1] == ["a"]
