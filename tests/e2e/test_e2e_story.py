"""keelwatch installed by its chart in a real cluster: what a team does with it, from install to uninstall.

The tests stand in the order of the story and build on each other.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.e2e_people import (
    Ledger,
    admit_alice,
    alice_types,
    as_alice,
    audited,
    no_audit,
)
from tests.e2e_support import (
    NEXT_IMAGE,
    WORKLOAD_IMAGE,
    Hub,
    Release,
    Workloads,
    claims_of,
    drop_volume,
    fresh_release,
    missing,
    no_privileged_pods,
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

ATTACKS_RULES = {
    "New program run in a container",
    "Written file made executable",
    "Program or library of the image overwritten",
    "New script run in a container",
}
AGENTS_RULES = ("Privileged pod made", "Pod mounts the files of its node")
SYSTEM = ("default", "kube-system", "kube-public", "kube-node-lease")
LOSSES = ("ring_full", "map_full", "decode_error", "spool_full", "rejected", "sequence", "row_count")
# Each step is done for real and leaves the node as it was.
BREAKOUT = """
toolbox setns 1 mnt /bin/true || toolbox setns $(pidof kubelet | cut -d' ' -f1) mnt /bin/true
pattern=$(cat /proc/sys/kernel/core_pattern); echo "$pattern" > /proc/sys/kernel/core_pattern
mkdir /tmp/seen; toolbox mount proc /tmp/seen proc; umount /tmp/seen
mkdir -p /node/etc/kubernetes/manifests
echo > /node/etc/kubernetes/manifests/keelwatch-e2e.yaml; rm /node/etc/kubernetes/manifests/keelwatch-e2e.yaml
rmdir /node/etc/kubernetes/manifests /node/etc/kubernetes
sleep 600
"""


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    if lacks := missing():
        pytest.skip(lacks)
    made = fresh_release(claims=True)
    try:
        made.install()
        yield made
    finally:
        made.uninstall()
        run("kubectl", "delete", "namespace", made.namespace, "--wait=false")
        drop_volume(made.namespace)


@pytest.fixture(scope="module")
def ledger(release: Release) -> Ledger:
    """What the story does. Its own ways to ask the hub are told, too, as helm's way to keep its releases
    is."""
    known = Ledger(with_users=not no_audit())
    entered = ("Command run in a pod", "Port forwarded to a pod")
    known.expect(f"{release.name}-hub-0", "admin", *entered)
    known.expect("", "admin", "Secrets read in bulk")
    return known


@pytest.fixture(scope="module")
def shop(release: Release) -> Iterator[Workloads]:
    """From here on the API server tells the hub what it is asked for."""
    with audited(release):
        made = Workloads()
        admit_alice(made)
        yield made
        made.delete()


@pytest.fixture
def alice(shop: Workloads) -> None:
    del shop
    if lacks := no_audit():
        pytest.skip(lacks)


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


def test_the_hubs_volume_is_a_claimed_one(release: Release) -> None:
    [claim] = json.loads(release.kubectl("get", "persistentvolumeclaims", "-o", "json"))["items"]
    assert (claim["metadata"]["name"], claim["status"]["phase"]) == ("data-keelwatch-hub-0", "Bound")


def test_the_charts_own_test(release: Release) -> None:
    release.helm("test", release.name)


def read_in(release: Release, pod: dict[str, Any], path: str) -> str:
    program = ["/usr/bin/python3.11", "-I", "-c", f"print(open({path!r}).read())"]
    return release.kubectl("exec", pod["metadata"]["name"], "--", *program)


def test_an_agents_token_is_for_the_hub_only_and_names_its_pod(release: Release) -> None:
    [agent, *_] = pods_of(release, "agent")
    claims = claims_of(read_in(release, agent, "/var/run/keelwatch/token"))
    assert claims["aud"] == ["keelwatch"]
    assert claims["kubernetes.io"]["pod"]["name"] == agent["metadata"]["name"]


def test_an_agent_has_four_capabilities_and_the_runtimes_seccomp_profile(release: Release) -> None:
    [agent, *_] = pods_of(release, "agent")
    status = dict(
        line.split(":\t", 1) for line in read_in(release, agent, "/proc/self/status").splitlines() if line
    )
    dac_read_search, sys_ptrace, perfmon, bpf = (1 << number for number in (2, 19, 38, 39))
    assert int(status["CapEff"], 16) == dac_read_search | sys_ptrace | perfmon | bpf
    assert status["Seccomp"] == "2"


def test_the_api_server_tells_what_it_is_asked_for(release: Release, shop: Workloads, alice: None) -> None:
    with release.hub() as api:
        asked = {"namespace": shop.namespace, "resource": "rolebindings", "verb": "create"}
        [made, *_] = until(lambda: api.rows("audit", **asked), 30, "the audit event")
    assert made["user"] == "admin"


def test_every_line_of_every_instance_is_there_once(release: Release, shop: Workloads) -> None:
    shop.apply("Deployment", "web", "loggen -n 3000 -r 500 -p web; sleep 600", replicas=3)
    shop.apply("StatefulSet", "ledger", "loggen -n 2000 -r 300 -p ledger; sleep 600", replicas=2)
    kept = {"successfulJobsHistoryLimit": 20}
    shop.apply(
        "CronJob", "report", "loggen -n 50 -p report & sleep 0.3; kill $!", schedule="* * * * *", **kept
    )
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


def test_an_attack_in_one_replica(release: Release, shop: Workloads, ledger: Ledger) -> None:
    victim, *others = shop.pods("web")
    assert len(others) == 2
    shop.shell(victim, ATTACK.format(mark="attacked"))
    ledger.expect(victim, "admin", "Command run in a pod", *ATTACKS_RULES)
    with release.hub() as api:
        alerts = until(lambda: enough(programs_alerts(api, shop), ATTACKS_RULES), 30, "alerts")
    assert {alert["pod"] for alert in alerts} == {victim}, "false alerts"
    for alert in alerts:
        assert_is_of_web(alert, victim)


def programs_alerts(api: Hub, shop: Workloads) -> list[dict[str, Any]]:
    """Alerts about what programs did, not about requests."""
    return [one for one in api.rows("alerts", namespace=shop.namespace) if one["source"] == "syscall"]


def assert_is_of_web(alert: dict[str, Any], pod: str) -> None:
    assert (alert["cluster"], alert["workload_kind"], alert["workload"]) == ("e2e", "Deployment", "web")
    assert " workload=kubernetes " in f" {alert['identity_source']} "
    assert (alert["pod"], alert["container"]) == (pod, "main")
    assert pod.startswith(f"web-{alert['revision']}-")
    assert alert["image"] == WORKLOAD_IMAGE
    assert alert["image_digest"].startswith("sha256:")


def test_an_exec_by_alice_names_her(release: Release, shop: Workloads, alice: None, ledger: Ledger) -> None:
    victim = shop.pods("web")[1]
    as_alice(shop, "exec", victim, "--", "sh", "-c", ATTACK.format(mark="alice"))
    ledger.expect(victim, "alice", "Command run in a pod", *ATTACKS_RULES)
    with release.hub() as api:
        session = until(lambda: the_session(api, shop, "exec"), 60, "alice's session")
        assert (session["pod"], session["container"], session["confidence"]) == (victim, "main", "certain")
        assert "developers" in session["groups"]
        until(lambda: named(api, shop, victim, "alice") >= ATTACKS_RULES, 30, "alerts that name her")
        for alert in programs_alerts(api, shop):
            assert alert["user"] == ("alice" if alert["pod"] == victim else "admin")
            if alert["pod"] == victim:
                assert_is_of_web(alert, victim)
        shown = api.cli("access", session["id"])
    assert "alice" in shown.stdout
    assert "/tmp/evil sleep 0" in shown.stdout, shown


def the_session(api: Hub, shop: Workloads, kind: str) -> dict[str, Any]:
    """Alice's session of a kind, when it is known what was done to files in it."""
    found = api.rows("access", namespace=shop.namespace, kind=kind, user="alice")
    assert len(found) <= 1, found
    return found[0] if found and found[0]["files"] else {}


def named(api: Hub, shop: Workloads, pod: str, user: str) -> set[str]:
    """Rules whose alerts about the pod name the user."""
    return {one["rule"] for one in programs_alerts(api, shop) if (one["pod"], one["user"]) == (pod, user)}


def test_a_debug_by_alice_with_what_she_changed(
    release: Release, shop: Workloads, alice: None, ledger: Ledger
) -> None:
    target = shop.pods("web")[2]
    spoiled = "/etc/shop/checkout.conf"
    words = ["debug", "-i", target, f"--image={WORKLOAD_IMAGE}", "--image-pull-policy=IfNotPresent"]
    typed = f"echo spoiled > /proc/1/root{spoiled}"
    with (
        release.hub() as api,
        alice_types(shop, *words, "--target=main", "--", "sh", text=typed),
    ):
        found = until(lambda: the_session(api, shop, "debug"), 60, "her debug session")
        session = api.get(f"/api/v1/access/{found['id']}").json()
    assert (session["pod"], session["target_container"], session["confidence"]) == (target, "main", "certain")
    assert (spoiled, "main") in [place for root in session["tree"] for place in touched(root)]
    requests = ("Ephemeral container added", "Attached to a pod")
    changed = ("File of a container changed from outside", "File of the image changed")
    ledger.expect(target, "alice", *requests, *changed)


def touched(node: dict[str, Any]) -> list[tuple[str, str]]:
    """(path, whose) of what a process and its children did to files."""
    own = [(doing["path"], doing["file_container"]) for doing in node["doings"]]
    return own + [place for child in node["children"] for place in touched(child)]


def test_a_pod_that_lives_for_less_than_a_second(release: Release, shop: Workloads) -> None:
    shop.apply("Job", "blink", "loggen -n 200 -p blink & sleep 0.1; kill $!", labels={"team": "tills"})
    shop.kubectl("wait", "--for=condition=complete", "job/blink", "--timeout=60s")
    shop.kubectl("delete", "job", "blink", "--wait=true")
    with release.hub() as api:
        until(lambda: complete(api, shop, "blink", 1, 200), 60, "lines of blink")
        lines = api.rows("logs", namespace=shop.namespace, workload="blink")
        events = api.rows("events", namespace=shop.namespace, workload="blink")
        lives = api.rows("lifecycle", namespace=shop.namespace, workload="blink")
        pod = lines[0]["pod"]
        assert {row["pod"] for row in api.rows("events", namespace=shop.namespace, pod=pod)} == {pod}
        assert len(api.rows("events", namespace=shop.namespace, pod=pod)) == len(events), "none without owner"
    for row in (*lines, *events):
        owner = tuple(row[name] for name in ("workload_kind", "workload", "team", "pod"))
        assert owner == ("Job", "blink", "tills", pod)
        assert row["pod_uid"]
        if row in lines or row["container"]:  # not the pod's sandbox
            assert (row["container"], row["image"]) == ("main", WORKLOAD_IMAGE), row
            assert row["image_digest"].startswith("sha256:")
    assert any("loggen" in row["cmdline"] for row in events)
    assert {row["kind"] for row in lives} >= {"pod_started", "container_started", "container_ended"}
    lived = [seconds_of(row["time"]) for row in (*lines, *events) if row["container"] and is_run(row)]
    assert max(lived) - min(lived) < 1


def is_run(row: dict[str, Any]) -> bool:
    """A log line, or an event that is not the runtime's at work before the entrypoint."""
    return bool(row.get("phase", "run") == "run")


def seconds_of(stamp: str) -> float:
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", stamp)).timestamp()


def test_a_breakout_from_a_privileged_pod(release: Release, shop: Workloads, ledger: Ledger) -> None:
    if lacks := no_privileged_pods():
        pytest.skip(lacks)
    node = {"name": "node", "hostPath": {"path": "/"}}
    shop.apply(
        "Pod",
        "intruder",
        BREAKOUT,
        container={
            "securityContext": {"privileged": True},
            "volumeMounts": [{"name": "node", "mountPath": "/node"}],
        },
        pod={"hostPID": True, "volumes": [node]},
    )
    expected = {
        "Container process entered another namespace",
        "Kernel control file written by a container",
        "File system mounted in a container",
        "Node's Kubernetes files written by a container",
    }
    ledger.expect("intruder", "", "*")
    with release.hub() as api:
        mine = until(
            lambda: enough([a for a in programs_alerts(api, shop) if a["pod"] == "intruder"], expected),
            60,
            "alerts of the breakout",
        )
        assert {(a["workload_kind"], a["workload"], a["container"]) for a in mine} == {
            ("Pod", "intruder", "main")
        }
        if no_audit():
            return
        asked = {"Privileged pod made", "Pod mounts the files of its node"}
        until(
            lambda: asked <= {a["rule"] for a in api.rows("alerts", pod="intruder", namespace=shop.namespace)}
        )
    ledger.expect("intruder", "admin", *asked)


def enough(alerts: list[dict[str, Any]], rules: set[str]) -> list[dict[str, Any]]:
    return alerts if rules <= {alert["rule"] for alert in alerts} else []


def told_by_both(api: Hub, kind: str) -> list[dict[str, Any]]:
    """What agents and the hub (no node) say of changed rules, once both have."""
    told = api.rows("lifecycle", kind=kind)
    return told if {bool(one["node"]) for one in told} == {True, False} else []


def test_own_rules_are_taken_up_and_broken_ones_change_nothing(
    release: Release, shop: Workloads, ledger: Ledger
) -> None:
    [pod, *_] = shop.pods("ledger")
    ledger.expect(pod, "admin", "Command run in a pod", "Ledger read")
    before = pods_of(release, "agent")[0]["metadata"]["uid"]
    release.install(rules={"own.yaml": OWN_RULE.format(what="first")})
    with release.hub() as api:
        until(lambda: told_by_both(api, "rules_loaded"), 150, "rules loaded")
        shop.shell(pod, "cat /dev/null first || true")
        until(lambda: api.rows("alerts", rule="Ledger read"), 30, "the own rule's alert")
        release.install(rules={"own.yaml": OWN_RULE.format(what="second").replace("evt.type", "evt.tipe")})
        for refused in until(lambda: told_by_both(api, "rules_refused"), 150, "rules refused"):
            assert "own.yaml:4:" in json.dumps(refused["detail"])
        seen = len(api.rows("alerts", rule="Ledger read"))
        shop.shell(pod, "cat /dev/zero first >/dev/null & sleep 0.1; kill $!")
        until(lambda: len(api.rows("alerts", rule="Ledger read")) > seen, 30, "the old rule still holds")
    release.install(rules={"own.yaml": OWN_RULE.format(what="first")})
    assert pods_of(release, "agent")[0]["metadata"]["uid"] == before, "no agent was restarted for it"


def test_an_upgrade_in_between_loses_nothing(release: Release, shop: Workloads, ledger: Ledger) -> None:
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
    upgrade.join()
    after = {pod["metadata"]["uid"] for pod in (*pods_of(release, "agent"), *pods_of(release, "hub"))}
    assert not before & after, "all of them were replaced"
    ledger.expect("", "admin", *AGENTS_RULES)  # the DaemonSet's new template; its pods are not told again
    assert (release.authority(), release.token()) == (authority, token)
    victim = shop.pods("ledger")[1]
    shop.shell(victim, ATTACK.format(mark="again"))
    ledger.expect(victim, "admin", "Command run in a pod", *ATTACKS_RULES)
    with release.hub() as api:
        until(lambda: complete(api, shop, "till", 2, 6000), 120, "lines of till")
        until(lambda: [a for a in programs_alerts(api, shop) if a["pod"] == victim], 30, "alert")
        gaps = api.rows("gaps", cause="agent_down")
    assert gaps, "the time without an agent is told"


def test_a_rollout_to_a_new_image_is_two_revisions(release: Release, shop: Workloads) -> None:
    image = {"image": NEXT_IMAGE}
    shop.apply("Deployment", "web", "loggen -n 3000 -r 500 -p web; sleep 600", replicas=3, container=image)
    shop.kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    with release.hub() as api:
        until(lambda: complete(api, shop, "web", 6, 3000), 90, "lines of both revisions")
        asked = {"namespace": shop.namespace, "workload": "deployment/web"}
        [changed] = until(lambda: api.rows("lifecycle", kind="image_changed", **asked), 30, "image_changed")
        assert (changed["detail"]["from"], changed["detail"]["to"]) == (WORKLOAD_IMAGE, NEXT_IMAGE)
        rolled = until(lambda: api.rows("lifecycle", kind="rolled_out", **asked)[1:], 30, "second rollout")
        assert rolled[-1]["detail"]["images"] == [NEXT_IMAGE]
        lines = api.rows("logs", **asked)
        shown = api.cli("logs", "deploy/web", "-n", shop.namespace, "--since", "2h", "--tail", "100000")
    pods = {(row["revision"], row["image"], row["image_digest"], row["pod"]) for row in lines}
    assert len({row[:3] for row in pods}) == 2
    assert {row[1] for row in pods} == {WORKLOAD_IMAGE, NEXT_IMAGE}
    assert len(pods) == 6
    assert len(re.findall(r"\bweb \d+", shown.stdout)) == 6 * 3000, shown.stderr


def test_deleting_is_told_and_loses_nothing(release: Release, shop: Workloads) -> None:
    shop.kubectl("patch", "cronjob", "report", "-p", '{"spec": {"suspend": true}}')
    until(lambda: not [pod for pod in shop.pods("report") if pod], 60, "no report at work")
    until(lambda: waiting(shop, "broken") == "CrashLoopBackOff", 90, "the broken one at rest")
    pods = {pod["metadata"]["name"] for pod in json.loads(shop.kubectl("get", "pods", "-o", "json"))["items"]}
    kinds = "deployments,statefulsets,cronjobs,jobs,pods"
    shop.kubectl("delete", kinds, "--all", "--wait=true", "--timeout=120s")
    with release.hub() as api:
        asked = {"namespace": shop.namespace, "kind": "pod_deleted"}
        until(lambda: pods <= {row["pod"] for row in api.rows("lifecycle", **asked)}, 60, "pods deleted")
        until(lambda: not still_there(api, shop), 60, "containers ended")
        instances = {"web": (6, 3000), "ledger": (2, 2000), "till": (2, 6000), "blink": (1, 200)}
        for app, (count, lines) in {**instances, "report": (4, 50), "broken": (3, 20)}.items():
            until(lambda a=app, i=count, n=lines: complete(api, shop, a, i, n), 30, f"lines of {app}")  # type: ignore[misc]
        seen = {row["pod"] for row in api.rows("lifecycle", namespace=shop.namespace)}
        runs = numbers(api.rows("logs", namespace=shop.namespace, workload="broken"), "broken")
    assert pods <= seen
    assert {restart for _, restart in runs} == set(range(len(runs))), "no restart is missing"


def waiting(shop: Workloads, app: str) -> str:
    [pod] = json.loads(shop.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
    [status] = pod["status"]["containerStatuses"]
    return str(status["state"].get("waiting", {}).get("reason", ""))


def still_there(api: Hub, shop: Workloads) -> set[str]:
    """Containers that the agent took up and of which it told no end.

    The one of before the upgrade cannot have told of those that ended while it was replaced: the one that
    runs now did not find them.
    """
    stops = [seconds_of(row["time"]) for row in api.rows("lifecycle", kind="agent_stopped")]
    replaced = max(stops, default=0.0) * 1e9
    rows = api.rows("lifecycle", namespace=shop.namespace)
    ended = {row["container_id"] for row in rows if row["kind"] == "container_ended"}
    started = [row for row in rows if row["kind"] == "container_started"]
    return {row["container_id"] for row in started if row["detail"]["taken_up"] > replaced} - ended


def test_every_container_was_observed_but_for_the_upgrade(release: Release, shop: Workloads) -> None:
    with release.hub() as api:
        started = api.rows("lifecycle", namespace=shop.namespace, kind="container_started")
        report = until(lambda: settled(api.coverage(namespace=shop.namespace, by="container")), 180)
        asked = ("coverage", "-n", shop.namespace, "--since", "2h")
        whole, low = api.cli(*asked, "--fail-under", "100"), api.cli(*asked, "--fail-under", "20")
    containers = {one["container_id"]: one for one in report["containers"]}
    assert {row["container_id"] for row in started if row["container"]} <= set(containers)
    partly = []
    for one in containers.values():
        told = (one["pod"], one["container"])
        assert not one["logs"]["missing"], (told, one["logs"])
        assert not one["events"]["with_loss"], (told, one["events"])
        lost = [part for part in one["logs"]["with_loss"] if not of_another(part, one)]
        assert not lost, (told, lost)
        causes = {part["cause"] for part in one["events"]["missing"]}
        assert causes <= {"agent_down"}, (told, one)
        partly += [one["workload"]] if causes else []
    assert {"till", "web", "ledger"} <= set(partly), "these ran while the agent was replaced"
    assert set(partly) <= {"till", "web", "ledger", "broken", "report", "intruder"}
    assert report["inventories"] == ["e2e"]
    assert (whole.returncode, low.returncode) == (1, 0), whole.stdout + low.stdout


def of_another(lost: dict[str, Any], one: dict[str, Any]) -> bool:
    """The end of a replaced agent's own log counts for the whole node, though it names its file."""
    return lost["cause"] == "log_vanished" and f"_{one['pod']}_" not in lost["detail"]


def settled(report: dict[str, Any]) -> dict[str, Any]:
    """The report, when nothing in it is open any more."""
    found = [one for one in report["containers"] if one["events"]["open"] or one["logs"]["open"]]
    return {} if found or not report["containers"] else report


def test_no_other_alert_than_for_what_was_done(release: Release, shop: Workloads, ledger: Ledger) -> None:
    """What other containers of this machine do is not the story's."""
    namespaces = (shop.namespace, release.namespace)
    with release.hub() as api:
        alerts = [one for one in api.rows("alerts") if one["namespace"] in (*namespaces, *SYSTEM)]
        assert no_audit() or not ledger.silent(alerts)
        gaps = [one for one in api.rows("gaps") if one["namespace"] == shop.namespace]
        losses = [one for one in api.rows("gaps") if one["cause"] in LOSSES]
    assert not ledger.strange(alerts)
    assert not [one for one in (*gaps, *losses) if one["cause"] != "agent_down"]
    for alert in alerts:
        if alert["source"] == "syscall":
            assert alert["namespace"] == shop.namespace
            assert all(alert[name] for name in ("pod_uid", "workload", "container_id", "image_digest")), alert


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
