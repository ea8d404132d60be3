"""The chart's canary in a real cluster: line and program arrive, and no rule takes it for an intruder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e_support import Hub, Release, fresh_release, missing, run, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
CONTAINER = "keelwatch-canary"


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    if lacks := missing():
        pytest.skip(lacks)
    made = fresh_release()
    try:
        made.install(canary={"enabled": True, "delaySeconds": 30})
        made.kubectl("rollout", "status", f"daemonset/{made.name}-canary", "--timeout=120s")
        yield made
    finally:
        made.uninstall()
        run("kubectl", "delete", "namespace", made.namespace, "--wait=false")


def canaries(hub: Hub) -> list[dict[str, Any]]:
    answer = hub.get("/api/v1/coverage")
    assert answer.status == 200, answer.data
    found: list[dict[str, Any]] = answer.json()["canaries"]
    return found


def test_its_beats_arrive(release: Release) -> None:
    nodes = run("kubectl", "get", "nodes", "-o", "name").split()
    with release.hub() as hub:

        def beaten() -> list[dict[str, Any]]:
            found = canaries(hub)
            return found if all(one[kind]["arrived"] for one in found for kind in ("logs", "events")) else []

        found = until(beaten, 120, "a line and a program of each canary")
        assert 1 <= len(found) <= len(nodes)
        assert all(one["running"] for one in found)
        assert all(not one[kind]["missing"] for one in found for kind in ("logs", "events"))
        programs = hub.rows("events", container=CONTAINER, kind="exec")
        assert any(row["exe"] == "/canary/keelwatch-canary-1" for row in programs)


def test_no_rule_takes_it_for_an_intruder(release: Release) -> None:
    with release.hub() as hub:
        until(lambda: any(one["events"]["arrived"] for one in canaries(hub)), 120)
        alerts = hub.rows("alerts", namespace=release.namespace, container=CONTAINER)
        assert not [(row["rule"], row["output"]) for row in alerts]


def test_its_own_coverage_has_nothing_missing_once_the_agent_ran(release: Release) -> None:
    with release.hub() as hub:
        answer = hub.get("/api/v1/coverage", namespace=release.namespace, container=CONTAINER).json()
        assert answer["inventories"] == ["e2e"]
        assert answer["total"]["logs"]["missing"] == {}
        assert answer["total"]["events"]["missing"].keys() <= {"before_agent"}  # they started together
        states = {node["state"] for node in answer["nodes"]}
        assert "watched" in states
