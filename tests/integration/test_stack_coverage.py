"""Coverage reckoned from what real agents, hub and containers did, ended and killed on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lab import ContainerSpec, Kubelet, PodSpec, sleeping_pod
from lab.cri_runtime import SANDBOX_HANDLER
from lab.pod import random_name
from tests.coverage_support import Site, events_missing
from tests.stack_support import eventually, keelwatch, missing_for_stack

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]
BEAT = 1.3
"""Seconds: an agent says once a second that it is there, and the gap begins a second before the last time."""


@pytest.fixture
def site() -> Iterator[Site]:
    if missing := missing_for_stack():
        pytest.skip(f"no whole stack here: {missing}")
    made = Site()
    try:
        made.start("hub")
        yield made
    finally:
        made.close()


def numbered_pod() -> PodSpec:
    """A pod that writes a line every 50 ms."""
    container = ContainerSpec("app", command=("loggen", "-n", "100000", "-r", "20", "-p", "line"))
    return PodSpec(f"ns-{random_name(6)}", f"pod-{random_name(6)}", (container,))


def started(site: Site) -> None:
    eventually(lambda: [n for n in site.coverage()["nodes"] if n["state"] == "watched"], "no agent came", 60)


def test_a_pod_that_a_sandbox_runs_is_not_said_to_be_observed(site: Site, kubelet: Kubelet) -> None:
    site.start("agent")
    started(site)
    pod = kubelet.run_pod(replace(numbered_pod(), runtime_handler=SANDBOX_HANDLER))
    one = site.container(pod.namespace)
    assert one["runtime"] == SANDBOX_HANDLER
    assert {part["cause"] for part in one["events"]["missing"]} == {"sandboxed_runtime"}
    assert one["events"]["observed"] == []


def test_five_seconds_without_the_agent_are_missing_and_nothing_else(site: Site, kubelet: Kubelet) -> None:
    site.start("agent")
    started(site)
    pod = kubelet.run_pod(numbered_pod())
    site.container(pod.namespace)
    time.sleep(2)
    killed = time.time()
    site.kill("agent")
    time.sleep(5)
    back = time.time()
    site.start("agent")

    def told() -> dict[str, Any] | None:
        one = site.container(pod.namespace)
        return one if events_missing(one, "agent_down") else None

    one = eventually(told, "the outage was not told", 60)
    [(begin, end)] = events_missing(one)
    assert killed - 1 - BEAT <= begin <= killed
    assert back <= end <= back + 20
    [part] = one["events"]["missing"]
    assert part["cause"] == "agent_down"
    eventually(lambda: not site.container(pod.namespace)["logs"]["missing"], "the log was not taken up again")
    report = site.coverage(namespace=pod.namespace)
    total = report["total"]
    assert total["logs"]["percent"] == 100
    assert total["events"]["percent"] < 100
    assert total["events"]["missing"].keys() == {"agent_down"}
    assert total["complete"] == 0
    assert all(table["missing"] == 0 for table in report["sequences"])


def test_an_agent_that_came_late_missed_the_events_but_not_the_log(site: Site, kubelet: Kubelet) -> None:
    pod = kubelet.run_pod(numbered_pod())
    time.sleep(3)
    before = time.time()
    site.start("agent")
    started(site)
    one = site.container(pod.namespace)
    [(begin, end)] = events_missing(one, "before_agent")
    assert begin < before - 2.5
    assert before < end < time.time()
    eventually(lambda: site.coverage(namespace=pod.namespace)["total"]["logs"]["percent"] == 100)
    young = kubelet.run_pod(sleeping_pod())
    one = site.container(young.namespace)
    assert not one["events"]["missing"]
    assert site.coverage(namespace=young.namespace)["total"]["percent"] == 100


def test_while_the_hub_is_away_nothing_is_missing(site: Site, kubelet: Kubelet) -> None:
    site.start("agent")
    started(site)
    pod = kubelet.run_pod(numbered_pod())
    site.container(pod.namespace)
    time.sleep(1)
    site.kill("hub")
    time.sleep(6)
    site.start("hub")
    report = eventually(
        lambda: (found := site.coverage(namespace=pod.namespace))["total"]["ran"] > 6 and found, seconds=60
    )
    assert not report["total"]["events"]["missing"]
    assert not report["total"]["logs"]["missing"]
    assert report["hub_down"]

    def settled() -> bool:
        found = site.coverage(namespace=pod.namespace)["total"]
        return found["percent"] == 100 and found["events"]["open"] < 2  # type: ignore[no-any-return]

    eventually(settled, "the agent's silence stayed open", 60)


def test_an_agent_without_its_sensor_observes_logs_only(site: Site, kubelet: Kubelet) -> None:
    site.start("agent", "--no-sensor")
    eventually(lambda: site.coverage()["nodes"], "no agent came", 60)
    pod = kubelet.run_pod(numbered_pod())
    one = site.container(pod.namespace)
    assert {part["cause"] for part in one["events"]["missing"]} == {"sensor_off"}
    assert not one["events"]["observed"]
    assert not one["logs"]["missing"]
    [node] = site.coverage()["nodes"]
    assert node["state"] == "sensor_off"


def test_an_agent_that_does_not_read_logs_observes_events_only(site: Site, kubelet: Kubelet) -> None:
    site.start("agent", "--no-logs")
    started(site)
    pod = kubelet.run_pod(numbered_pod())
    one = site.container(pod.namespace)
    assert {part["cause"] for part in one["logs"]["missing"]} == {"logs_off"}
    assert not one["events"]["missing"]


def test_an_agent_that_lost_its_state_was_down_all_the_same(site: Site, kubelet: Kubelet) -> None:
    site.start("agent")
    started(site)
    pod = kubelet.run_pod(numbered_pod())
    site.container(pod.namespace)
    time.sleep(2)
    ended = time.time()
    site.end("agent")
    time.sleep(3)
    site.start("agent", data="another")

    def told() -> dict[str, Any] | None:
        one = site.container(pod.namespace)
        return one if one["events"]["observed"][1:] else None

    one = eventually(told, "the second agent did not come", 60)
    [(begin, end)] = events_missing(one, "agent_down")
    assert ended - BEAT <= begin <= ended + 5
    assert begin + 3 - 5 < end


def test_one_that_stops_for_good_is_missing_at_once(site: Site, kubelet: Kubelet) -> None:
    site.start("agent")
    started(site)
    pod = kubelet.run_pod(numbered_pod())
    site.container(pod.namespace)
    time.sleep(1)
    site.end("agent")
    one = site.container(pod.namespace)
    assert {part["cause"] for part in one["events"]["missing"]} == {"agent_down"}
    assert {part["cause"] for part in one["logs"]["missing"]} == {"agent_down"}
    [node] = site.coverage()["nodes"]
    assert node["state"] == "agent_down"


def test_the_command_fails_a_build_below_the_mark(site: Site, kubelet: Kubelet) -> None:
    pod = kubelet.run_pod(numbered_pod())
    time.sleep(1)
    site.start("agent")
    started(site)
    young = kubelet.run_pod(sleeping_pod())
    for namespace in (pod.namespace, young.namespace):
        site.container(namespace)
    token = ("--hub", f"http://{site.address}", "--token-file", str(site.directory / "admin.token"))
    poor = keelwatch("coverage", *token, "-n", pod.namespace, "--fail-under", "100")
    assert poor.returncode == 1
    assert "less than 100 %" in poor.stderr
    assert "the agent was not there yet" in poor.stdout
    whole = keelwatch("coverage", *token, "-n", young.namespace, "--fail-under", "100")
    assert whole.returncode == 0, whole.stderr
    nothing = keelwatch("coverage", *token, "-n", "no-such", "--fail-under", "1")
    assert nothing.returncode == 1
    wrong = keelwatch("coverage", *token, "--since", "yesterday")
    assert wrong.returncode == 2
