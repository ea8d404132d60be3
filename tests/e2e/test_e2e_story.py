"""keelwatch installed by its chart in a real cluster: what a team does with it, from install to uninstall.

The tests stand in the order of the story and build on each other.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e_support import (
    Release,
    Workloads,
    claims_of,
    fresh_release,
    missing,
    numbers,
    run,
    until,
    wrong,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

OWN_RULE = """
- rule: Ledger read
  desc: The ledger was opened for reading with cat.
  condition: evt.type = execve and proc.name = cat and proc.args contains {what}
  output: ledger read (pod=%k8s.pod.name)
  priority: NOTICE
"""
ATTACK = (
    "cat /usr/local/bin/toolbox > /tmp/evil; chmod +x /tmp/evil; /tmp/evil sleep 0;"
    "printf '#!/bin/sh\\necho {mark}\\n' > /usr/local/bin/healthcheck; /usr/local/bin/healthcheck"
)


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    if lacks := missing():
        pytest.skip(lacks)
    made = fresh_release()
    try:
        made.install()
        yield made
    finally:
        made.uninstall()
        run("kubectl", "delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture(scope="module")
def shop(release: Release) -> Iterator[Workloads]:
    del release  # it comes first, so that it sees all
    made = Workloads()
    yield made
    made.delete()


def pods_of(release: Release, component: str) -> list[dict[str, Any]]:
    selector = f"app.kubernetes.io/component={component}"
    return list(json.loads(release.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"])


def test_hub_and_agents_are_ready(release: Release) -> None:
    nodes = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"]
    agents, [hub] = pods_of(release, "agent"), pods_of(release, "hub")
    assert len(agents) == len(nodes)
    for pod in [*agents, hub]:
        [status] = pod["status"]["containerStatuses"]
        assert (status["ready"], status["restartCount"]) == (True, 0)
    with release.hub() as api:
        status = api.get("/api/v1/status").json()
    assert {agent["node"] for agent in status["agents"]} == {node["metadata"]["name"] for node in nodes}


def test_the_charts_own_test(release: Release) -> None:
    release.helm("test", release.name)


def test_an_agents_token_is_for_the_hub_only_and_names_its_pod(release: Release) -> None:
    [agent, *_] = pods_of(release, "agent")
    read = ["python3.11", "-I", "-c", "print(open('/var/run/keelwatch/token').read())"]
    token = release.kubectl("exec", agent["metadata"]["name"], "--", "/usr/bin/" + read[0], *read[1:])
    claims = claims_of(token)
    assert claims["aud"] == ["keelwatch"]
    assert claims["kubernetes.io"]["pod"]["name"] == agent["metadata"]["name"]


def test_every_line_of_every_instance_is_there_once(release: Release, shop: Workloads) -> None:
    shop.apply("Deployment", "web", "loggen -n 3000 -r 500 -p web; sleep 600", replicas=3)
    shop.apply("StatefulSet", "ledger", "loggen -n 2000 -r 300 -p ledger; sleep 600", replicas=2)
    shop.apply("CronJob", "report", "loggen -n 50 -p report & sleep 0.3; kill $!", schedule="0 0 1 1 *")
    for number in range(3):
        shop.kubectl("create", "job", f"report-{number}", "--from=cronjob/report")
    # A container that ends at once, and again and again.
    shop.apply("Deployment", "broken", "loggen -n 20 -p broken & sleep 0.2; kill $!; exit 1", replicas=1)
    until(lambda: restarts(shop, "broken") >= 2, 90, "two restarts")
    wanted = {"web": (3, 3000), "ledger": (2, 2000), "report": (3, 50), "broken": (3, 20)}
    with release.hub() as api:
        for app, (instances, lines) in wanted.items():
            until(lambda a=app, i=instances, n=lines: complete(api, shop, a, i, n), 90, f"lines of {app}")  # type: ignore[misc]


def restarts(shop: Workloads, app: str) -> int:
    found = json.loads(shop.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
    counts = [s["restartCount"] for pod in found for s in pod["status"].get("containerStatuses", [])]
    return sum(counts)


def complete(api: Any, shop: Workloads, app: str, instances: int, lines: int) -> bool:
    """Whether all instances have all lines; a line that is there twice will never be right."""
    counted = numbers(api.rows("logs", namespace=shop.namespace, container="main"), app)
    problems = wrong(counted, lines)
    assert not [text for text in problems.values() if "twice none" not in text], problems
    return len(counted) >= instances and not problems


def test_an_attack_in_one_replica(release: Release, shop: Workloads) -> None:
    victim, *others = shop.pods("web")
    assert len(others) == 2
    shop.shell(victim, ATTACK.format(mark="attacked"))
    expected = {
        "New program run in a container",
        "Written file made executable",
        "Program or library of the image overwritten",
        "New script run in a container",
    }
    with release.hub() as api:
        alerts = until(lambda: enough(api.rows("alerts", namespace=shop.namespace), expected), 30, "alerts")
        again = api.rows("alerts", namespace=shop.namespace)
    assert {alert["pod"] for alert in again} == {victim}, "false alerts"
    for alert in alerts:
        assert (alert["cluster"], alert["workload_kind"], alert["workload"]) == ("e2e", "Deployment", "web")
        assert " workload=kubernetes " in f" {alert['identity_source']} "
        assert alert["container"] == "main"
        assert victim.startswith(f"web-{alert['revision']}-")
        assert alert["image"].endswith("shop/checkout:1.4.2")
        assert alert["image_digest"].startswith("sha256:")


def enough(alerts: list[dict[str, Any]], rules: set[str]) -> list[dict[str, Any]]:
    return alerts if rules <= {alert["rule"] for alert in alerts} else []


def test_own_rules_are_taken_up_and_broken_ones_change_nothing(release: Release, shop: Workloads) -> None:
    [pod, *_] = shop.pods("ledger")
    before = pods_of(release, "agent")[0]["metadata"]["uid"]
    release.install(rules={"own.yaml": OWN_RULE.format(what="first")})
    with release.hub() as api:
        until(lambda: api.rows("lifecycle", kind="rules_loaded"), 150, "rules loaded")
        shop.shell(pod, "cat /dev/null first || true")
        until(lambda: api.rows("alerts", rule="Ledger read"), 30, "the own rule's alert")
        release.install(rules={"own.yaml": OWN_RULE.format(what="second").replace("evt.type", "evt.tipe")})
        [refused] = until(lambda: api.rows("lifecycle", kind="rules_refused"), 150, "rules refused")
        assert "own.yaml:4:" in json.dumps(refused["detail"])
        seen = len(api.rows("alerts", rule="Ledger read"))
        shop.shell(pod, "cat /dev/zero first >/dev/null & sleep 0.1; kill $!")
        until(lambda: len(api.rows("alerts", rule="Ledger read")) > seen, 30, "the old rule still holds")
    release.install(rules={"own.yaml": OWN_RULE.format(what="first")})
    assert pods_of(release, "agent")[0]["metadata"]["uid"] == before, "no agent was restarted for it"


def test_an_upgrade_in_between_loses_nothing(release: Release, shop: Workloads) -> None:
    authority, token = release.authority(), release.token()
    shop.apply("Deployment", "till", "loggen -n 6000 -r 100 -p till; sleep 600", replicas=2)
    until(lambda: len(shop.pods("till")) == 2)
    time.sleep(5)
    before = {pod["metadata"]["uid"] for pod in (*pods_of(release, "agent"), *pods_of(release, "hub"))}
    upgrade = threading.Thread(
        target=release.install,
        kwargs={"agent": {"podAnnotations": {"upgraded": "1"}}, "hub": {"podAnnotations": {"upgraded": "1"}}},
    )
    upgrade.start()
    victim = shop.pods("web")[1]
    upgrade.join()
    after = {pod["metadata"]["uid"] for pod in (*pods_of(release, "agent"), *pods_of(release, "hub"))}
    assert not before & after, "all of them were replaced"
    assert (release.authority(), release.token()) == (authority, token)
    shop.shell(victim, ATTACK.format(mark="again"))
    with release.hub() as api:
        until(lambda: complete(api, shop, "till", 2, 6000), 120, "lines of till")
        until(
            lambda: [a for a in api.rows("alerts", namespace=shop.namespace) if a["pod"] == victim],
            30,
            "alert",
        )
        gaps = api.rows("gaps", cause="agent_down")
    assert gaps, "the time without an agent is told"


def test_uninstalling_keeps_the_record(release: Release, shop: Workloads) -> None:
    authority = release.authority()
    with release.hub() as api:
        alerts = {alert["id"] for alert in api.rows("alerts", namespace=shop.namespace)}
    release.uninstall()
    release.install()
    assert release.authority() == authority
    with release.hub() as api:
        assert alerts <= {alert["id"] for alert in api.rows("alerts", namespace=shop.namespace)}
        assert not wrong(numbers(api.rows("logs", namespace=shop.namespace, container="main"), "till"), 6000)
