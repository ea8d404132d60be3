"""Owners, teams, the feed and the history, of objects as the API server writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.inventory.bounds import MAX_LABELS, nanoseconds, pairs
from keelwatch.inventory.cluster import Cluster
from keelwatch.inventory.feed import MAX_GONE, Feed, entry
from keelwatch.inventory.history import Note, joined
from keelwatch.inventory.lifecycle import happened
from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.parse import parse
from keelwatch.inventory.rows import Resolved, content_hash, from_row, to_row
from keelwatch.inventory.teams import TeamMapError, TeamRules, read_team_map

NOW = 1_768_478_400_000_000_000


def raw(name: str, uid: str = "", owner: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    owners = [owner] if owner else []
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": uid or name, "ownerReferences": owners, **meta}
    }


VERSIONS = {
    "Node": "v1", "ReplicationController": "v1", "Job": "batch/v1", "CronJob": "batch/v1",
    "Rollout": "argoproj.io/v1alpha1", "DeploymentConfig": "apps.openshift.io/v1",
}  # fmt: skip


def owned_by(kind: str, name: str, **more: Any) -> dict[str, Any]:
    version = VERSIONS.get(kind, "apps/v1")  # of most kinds here
    return {"apiVersion": version, "kind": kind, "name": name, "uid": name, "controller": True, **more}


def made(kind: str, name: str, **more: Any) -> KubeObject:
    found = parse(kind, raw(name, **more))
    assert found is not None
    return found


def pod(name: str, status: dict[str, Any] | None = None, **more: Any) -> KubeObject:
    whole = raw(name, **more) | {
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "shop:1"}]},
        "status": status or {"phase": "Running"},
    }
    found = parse("Pod", whole, "team", "owner.test/team")
    assert found is not None
    return found


def status(container_id: str, **more: Any) -> dict[str, Any]:
    told = {"name": "app", "containerID": f"containerd://{container_id}", "restartCount": 0, **more}
    return {"phase": "Running", "containerStatuses": [told]}


def filled() -> Cluster:
    cluster = Cluster(TeamRules())
    cluster.put(made("Deployment", "checkout", labels={"team": "pay"}))
    cluster.put(made("ReplicaSet", "checkout-5d", owner=owned_by("Deployment", "checkout")))
    return cluster


def test_the_workload_is_the_top_owner() -> None:
    cluster = filled()
    one = pod("checkout-5d-x", owner=owned_by("ReplicaSet", "checkout-5d"))
    cluster.put(one)
    assert cluster.resolved(one) == Resolved("Deployment", "checkout", "pay", "workload label", True)


def test_an_operators_deployment_stays_a_deployment() -> None:
    cluster = Cluster(TeamRules())
    cluster.put(made("Deployment", "db", owner=owned_by("Database", "main")))
    cluster.put(made("ReplicaSet", "db-1", owner=owned_by("Deployment", "db")))
    one = pod("db-1-x", owner=owned_by("ReplicaSet", "db-1"))
    cluster.put(one)
    assert cluster.resolved(one)[:2] == ("Deployment", "db")


def test_a_custom_owner_is_taken_by_its_reference() -> None:
    cluster = Cluster(TeamRules())
    cluster.put(made("ReplicaSet", "cart-1", owner=owned_by("Rollout", "cart")))
    one = pod("cart-1-x", owner=owned_by("ReplicaSet", "cart-1"))
    cluster.put(one)
    assert cluster.resolved(one)[:2] == ("Rollout", "cart")


def test_another_groups_job_is_not_waited_for() -> None:
    cluster = Cluster(TeamRules())
    one = pod("train-0", owner=owned_by("Job", "train", apiVersion="batch.volcano.sh/v1alpha1"))
    cluster.put(one)
    assert cluster.resolved(one) == Resolved("Job", "train", known=True)
    usual = pod("nightly-x", owner=owned_by("Job", "nightly"))
    cluster.put(usual)
    assert not cluster.resolved(usual).known


def test_a_deployment_config_is_found_behind_its_replication_controllers() -> None:
    cluster = Cluster(TeamRules())
    for version in ("1", "2"):
        name, told = f"shop-{version}", {"openshift.io/deployment-config.latest-version": version}
        owner = owned_by("DeploymentConfig", "shop")
        cluster.put(made("ReplicationController", name, owner=owner, annotations=told))
        one = pod(f"{name}-x", owner=owned_by("ReplicationController", name), annotations=told)
        cluster.put(one)
        assert cluster.resolved(one) == Resolved("DeploymentConfig", "shop", known=True)
        assert one.revision == version


def test_the_owners_group_is_no_reason_to_write_again() -> None:
    one = pod("p", owner=owned_by("Job", "nightly"))
    row = to_row("added", NOW, "c", one, Resolved())
    again = from_row(row | {"created_ns": row["created"]})
    assert content_hash(again, Resolved()) == row["content_hash"]


def test_an_owner_that_comes_late_touches_its_pods() -> None:
    cluster = Cluster(TeamRules())
    one = pod("a-5d-x", owner=owned_by("ReplicaSet", "a-5d"), labels={"pod-template-hash": "5d"})
    cluster.put(one)
    assert cluster.resolved(one) == Resolved("Deployment", "a", "", "", False)
    changes = cluster.put(made("ReplicaSet", "a-5d", owner=owned_by("Rollout", "a")))
    assert [change.object.name for change in changes if change.touched] == ["a-5d-x"]
    assert cluster.resolved(one)[:2] == ("Rollout", "a")


def test_a_job_that_goes_before_its_pod_leaves_it_its_workload() -> None:
    cluster = Cluster(TeamRules())
    cluster.put(made("Job", "nightly-1", owner=owned_by("CronJob", "nightly")))
    cluster.put(pod("p", owner=owned_by("Job", "nightly-1")))
    cluster.remove("nightly-1")
    ended = pod("p", owner=owned_by("Job", "nightly-1"), status={"phase": "Succeeded"})
    cluster.put(ended)
    assert cluster.resolved(ended)[:2] == ("CronJob", "nightly")


def test_the_controller_is_the_owner_and_cycles_end() -> None:
    first = {"kind": "Backup", "name": "b", "uid": "b"}
    found = parse(
        "Pod", {"metadata": {"name": "p", "uid": "p", "ownerReferences": [first, owned_by("Job", "j")]}}
    )
    assert found is not None
    assert found.owner is not None
    assert found.owner.name == "j"
    cluster = Cluster(TeamRules())
    cluster.put(made("Job", "a", owner=owned_by("Job", "b")))
    cluster.put(made("Job", "b", owner=owned_by("Job", "a")))
    assert cluster.resolved(made("Job", "a", owner=owned_by("Job", "b"))).workload_kind == "Job"


def test_the_nearest_word_on_the_team_counts() -> None:
    rules = TeamRules("team", "owner.test/team", {"shop": "mapped"})
    namespace = made("Namespace", "shop", labels={"team": "space"})
    workload = made("Deployment", "d", labels={"team": "work"})
    marked = pod("p", annotations={"owner.test/team": "noted"})
    assert rules.team_of(pod("p", labels={"team": "own"}), workload, namespace) == ("own", "pod label")
    assert rules.team_of(marked, workload, namespace) == ("noted", "pod annotation")
    assert rules.team_of(pod("p"), workload, namespace) == ("work", "workload label")
    assert rules.team_of(pod("p"), None, namespace) == ("mapped", "namespace map")
    assert TeamRules().team_of(pod("p"), None, namespace) == ("space", "namespace label")
    assert TeamRules("").team_of(pod("p"), workload, namespace) == ("", "")


def test_a_namespaces_team_reaches_its_pods() -> None:
    cluster = Cluster(TeamRules())
    cluster.put(pod("p"))
    namespace = parse("Namespace", {"metadata": {"name": "shop", "uid": "n", "labels": {"team": "pay"}}})
    assert namespace is not None
    assert [change.touched for change in cluster.put(namespace)] == [False, True]
    assert cluster.resolved(pod("p")).team == "pay"


@pytest.mark.parametrize("text", ["- a\n", "shop: 3\n", "shop: [\n"])
def test_a_team_map_that_is_none_says_so(tmp_path: Any, text: str) -> None:
    path = tmp_path / "teams.yaml"
    path.write_text(text)
    with pytest.raises(TeamMapError, match=r"teams\.yaml"):
        read_team_map(path)


def test_labels_are_bounded_and_those_that_identify_are_kept() -> None:
    many = {f"a{number:05}": "v" for number in range(10_000)} | {"pod-template-hash": "5d", "zteam": "x"}
    kept, cut = pairs(many, "zteam")
    assert (len(kept), cut) == (MAX_LABELS, 10_002 - MAX_LABELS)
    assert {"pod-template-hash", "zteam"} <= dict(kept).keys()


def test_equal_labels_are_one_object() -> None:
    assert pod("a", labels={"app": "x"}).labels is pod("b", labels={"app": "x"}).labels


def test_a_heartbeat_is_no_change() -> None:
    cluster = filled()
    assert cluster.put(pod("p", resourceVersion="1"))
    assert cluster.put(pod("p", resourceVersion="2")) == []


def test_a_row_and_back() -> None:
    one = pod("p", status("c1", state={"running": {"startedAt": "2026-01-15T12:00:00Z"}}), labels={"a": "b"})
    resolved = Resolved("Deployment", "checkout", "pay", "pod label")
    row = to_row("added", NOW, "c", one, resolved)
    again = from_row(row | {"created_ns": row["created"]})
    assert again == one
    assert content_hash(again, resolved) == row["content_hash"]
    assert row["container_ids"] == ["c1"]


def kinds(old: KubeObject | None, new: KubeObject | None) -> list[str]:
    return [row["kind"] for row in happened("c", old, new, Resolved(), NOW)]


def test_what_happened_to_a_pod() -> None:
    pending = pod("p", {"phase": "Pending"})
    running = pod("p", status("c1"))
    assert kinds(None, running) == ["pod_scheduled", "pod_started"]
    assert kinds(pending, running) == ["pod_started"]
    assert kinds(running, running) == []
    assert kinds(running, pod("p", {"phase": "Failed", "reason": "Evicted"})) == ["pod_evicted", "pod_ended"]
    assert kinds(running, None) == ["pod_deleted"]


def test_an_oom_kill_is_told_once() -> None:
    dead = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "containerID": "containerd://c1"}}
    running, killed = pod("p", status("c1")), pod("p", status("c1", state=dead))
    again = pod("p", status("c2", lastState=dead, restartCount=1, state={"running": {}}))
    assert kinds(running, killed) == ["container_oom_killed"]
    assert kinds(killed, again) == []
    assert kinds(running, again) == ["container_oom_killed"]
    rows = happened("c", running, again, Resolved(), NOW)
    assert (rows[0]["container_id"], rows[0]["restart"]) == ("c1", 0)


def test_versions_of_a_moment_are_one_record_unless_one_alone_shows_a_container() -> None:
    scheduled, first, second = pod("p", {"phase": "Pending"}), pod("p", status("c1")), pod("p", status("c2"))

    def note(old: KubeObject | None, new: KubeObject) -> Note:
        return Note("changed" if old else "added", "p", NOW, old, new)

    assert [one.event for one in joined([note(None, scheduled), note(scheduled, first)])] == ["added"]
    assert len(joined([note(scheduled, first), note(first, second)])) == 2


def test_a_node_hears_of_its_own_pods_and_of_all_after_too_long() -> None:
    feed = Feed()
    start = feed.version
    feed.put("node-1", "a")
    feed.put("node-2", "b")
    whole, changed, _, version = feed.news("node-1", 0)
    assert (whole, changed) == (True, ["a"])
    feed.put("node-1", "c")
    feed.remove("node-1", "a")
    assert feed.news("node-1", version)[:3] == (False, ["c"], ["a"])
    for number in range(MAX_GONE + 1):
        feed.put("node-1", f"x{number}")
        feed.remove("node-1", f"x{number}")
    assert feed.news("node-1", version)[0]
    assert feed.news("node-1", feed.version + 5)[0]
    assert version > start


def test_who_waits_is_woken_by_its_node_only() -> None:
    feed, heard = Feed(), []
    leave = feed.subscribe("node-1", lambda: heard.append(1))
    feed.put("node-2", "b")
    assert heard == []
    feed.put("node-1", "a")
    leave()
    feed.put("node-1", "c")
    assert heard == [1]


def test_a_static_pod_says_so() -> None:
    assert entry(pod("p", owner=owned_by("Node", "node-1")), Resolved())["static"]
    assert not entry(pod("p"), Resolved())["static"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "metadata", "name", "uid", "labels", "ownerReferences", "spec", "status", "containers",
            "containerStatuses", "state", "running", "startedAt", "conditions", "type", "template",
        ]), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@given(st.sampled_from(["Pod", "Node", "Deployment", "DaemonSet", "CronJob"]), JSON)
def test_no_object_breaks_the_parser(kind: str, inner: Any) -> None:
    meta = {"name": "n", "uid": "u", "labels": inner, "ownerReferences": inner, "creationTimestamp": inner}
    found = parse(kind, {"metadata": meta, "spec": inner, "status": inner}, "team", "team")
    assert found is not None
    to_row("added", NOW, "c", found, Resolved())


@given(st.text(max_size=40))
def test_a_time_is_a_number(text: str) -> None:
    assert isinstance(nanoseconds(text), int)


def test_a_time() -> None:
    assert nanoseconds("2026-01-15T12:00:00Z") == NOW
