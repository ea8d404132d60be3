"""Audit events of a real API server: upstream's rules and ours fire on real requests, each event once.

It reads the cluster's audit log file, so it runs where the control plane does (lab/cluster).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import yaml

from keelwatch.audit.dropped import read_metrics
from keelwatch.inventory.client import connect
from tests.e2e_people import cluster_up, no_audit, webhook
from tests.e2e_support import until
from tests.hub_support import HubProcess

pytestmark = pytest.mark.cluster

KUBECONFIG = Path(os.environ.get("KUBECONFIG", "/tmp/lab/admin.kubeconfig"))
AUDIT_LOG = Path(os.environ.get("KEELWATCH_TEST_AUDIT_LOG", "/tmp/lab/log/audit.log"))
UPSTREAM = Path(__file__).parents[1] / "golden" / "falco" / "k8s_audit_rules.yaml"
IMAGE = os.environ.get("KEELWATCH_TEST_IMAGE", "localhost/pause:lab")
NAME = f"audit-{uuid4().hex[:6]}"
_HUB = """
import logging, sys
from pathlib import Path
from keelwatch.hub.main import run_hub
from keelwatch.hub.settings import HubSettings
logging.basicConfig(level=logging.INFO)
data = Path(sys.argv[1])
run_hub(HubSettings(data=data, listen=sys.argv[2], admin_token_file=data / "admin.token", cluster="lab",
                    audit_token_file=data / "audit.token", kubeconfig=Path(sys.argv[3]),
                    audit_logs=(Path(sys.argv[4]),), rules=(Path(sys.argv[5]),)))
"""
CONTAINER = {"name": "app", "image": IMAGE, "imagePullPolicy": "Never"}


def kubectl(*words: str, stdin: str = "", check: bool = True) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(KUBECONFIG), *words],
        input=stdin, text=True, capture_output=True, timeout=120,
        env=os.environ | {"PATH": f"/opt/kubernetes/bin:{os.environ['PATH']}"},
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def apply(kind: str, name: str, api: str = "v1", **parts: Any) -> None:
    labels: dict[str, Any] = {"name": name, "labels": {"test": NAME}}
    if kind not in ("ClusterRole", "ClusterRoleBinding", "Namespace"):
        labels["namespace"] = NAME
    made = {"apiVersion": api, "kind": kind, "metadata": labels} | parts
    kubectl("create", "-f", "-", stdin=yaml.safe_dump(made))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    if not KUBECONFIG.exists() or not os.access(AUDIT_LOG, os.R_OK):
        pytest.skip(f"no cluster with a readable audit log here: {KUBECONFIG}, {AUDIT_LOG}")
    made = HubProcess(tmp_path_factory.mktemp("audit") / "hub")
    made.url = "http://127.0.0.1:18477"
    made.data.mkdir()
    with (made.data.parent / "hub.log").open("ab") as log:
        made.process = subprocess.Popen(
            [sys.executable, "-c", _HUB, str(made.data), "127.0.0.1:18477", str(KUBECONFIG), str(AUDIT_LOG),
             str(UPSTREAM)],
            stdout=log, stderr=log,
        )  # fmt: skip
    assert made.ready(60), made.log()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def requests_made(hub: HubProcess) -> Iterator[None]:
    """What an attacker, and a careless administrator, would do."""
    kubectl("create", "namespace", NAME)
    rbac = "rbac.authorization.k8s.io/v1"
    try:
        pod = {"hostPID": True, "hostIPC": True, "hostNetwork": True, "terminationGracePeriodSeconds": 0,
               "containers": [CONTAINER | {"securityContext": {"privileged": True}}],
               "volumes": [{"name": "etc", "hostPath": {"path": "/etc"}}]}  # fmt: skip
        apply("Pod", "bad", spec=pod)  # which need not start: some nodes cannot run what is privileged
        apply("Pod", "till", spec={"containers": [CONTAINER], "terminationGracePeriodSeconds": 0})
        apply("Service", "door", spec={"type": "NodePort", "ports": [{"port": 80}]})
        every = [{"apiGroups": ["*"], "resources": ["*", "pods/exec"], "verbs": ["*", "create"]}]
        apply("ClusterRole", NAME, rbac, rules=every)
        group = {"apiGroup": "rbac.authorization.k8s.io"}
        binding = {"roleRef": group | {"kind": "ClusterRole", "name": "cluster-admin"},
                   "subjects": [group | {"kind": "User", "name": "nobody-at-all"}]}  # fmt: skip
        apply("ClusterRoleBinding", NAME, rbac, **binding)
        apply("Secret", "db", stringData={"password": "canary-of-e2e"})
        backend = {"service": {"name": "door", "port": {"number": 80}}}
        apply("Ingress", "front", "networking.k8s.io/v1", spec={"defaultBackend": backend})
        kubectl("get", "secret", "db", "-n", NAME)
        kubectl("get", "secrets", "-n", NAME)
        kubectl("create", "token", "default", "-n", NAME)
        kubectl("wait", "pod/till", "-n", NAME, "--for=condition=Ready", "--timeout=100s")
        kubectl("exec", "till", "-n", NAME, "--", "no-such-program", "--flag", check=False)
        kubectl("debug", "till", "-n", NAME, f"--image={IMAGE}", "--image-pull-policy=Never", check=False)
        kubectl("get", "secrets", "-n", NAME, "--as=nobody-at-all-else", check=False)
        yield
    finally:
        kubectl("delete", "clusterrole,clusterrolebinding", "-l", f"test={NAME}", "--wait=false", check=False)
        kubectl("delete", "namespace", NAME, "--wait=false", check=False)


OURS = {
    "Privileged pod made", "Pod mounts the files of its node", "Role with far-reaching rights",
    "Cluster administration granted", "Secrets read in bulk", "Service account token minted",
    "Command run in a pod", "Ephemeral container added",
}  # fmt: skip
FALCOS = {
    "Create Privileged Pod", "Create Sensitive Mount Pod", "Create HostNetwork Pod", "Create HostPid Pod",
    "Create HostIPC Pod", "Create NodePort Service", "ClusterRole With Wildcard Created",
    "ClusterRole With Write Privileges Created", "ClusterRole With Pod Exec Created",
    "Attach to cluster-admin Role", "Attach/Exec Pod", "EphemeralContainers Created", "K8s Secret Created",
    "K8s Secret Get Successfully", "K8s Service Created", "K8s ClusterRole Created",
    "K8s ClusterRoleBinding Created", "K8s Namespace Created", "Create Disallowed Namespace",
    "Ingress Object without TLS Certificate Created",
}  # fmt: skip


def mine(record: dict[str, Any]) -> bool:
    return NAME in (record["namespace"], record["detail"].get("target", {}).get("name", ""))


def test_rules_fire_on_real_requests(hub: HubProcess, requests_made: None) -> None:
    def fired() -> set[str]:
        return {one["rule"] for one in hub.records("alerts", tail="10000") if mine(one)}

    until(lambda: fired() >= OURS | FALCOS)
    assert (OURS | FALCOS) - fired() == set(), hub.log()


def test_the_exec_names_its_user_and_its_pod(hub: HubProcess, requests_made: None) -> None:
    found = until(lambda: hub.records("audit", namespace=NAME, subresource="exec"))
    assert {one["command"] for one in found} == {"no-such-program --flag"}
    assert {(one["pod"], one["container"]) for one in found} == {("till", "app")}
    assert {one["verb"] for one in found} <= {"get", "create"}
    assert all(one["pod_uid"] and one["user"] and one["source_ips"] for one in found)
    assert {one["record"] for one in hub.records("timeline", namespace=NAME, pod="till")} >= {
        "audit",
        "alert",
    }


def test_each_line_of_the_log_is_there_once(hub: HubProcess, requests_made: None) -> None:
    wanted = {
        (one["auditID"], one["stage"])
        for one in map(orjson.loads, AUDIT_LOG.read_bytes().splitlines()[:-1])
        if one.get("objectRef", {}).get("namespace") == NAME
    }

    def found() -> Counter[tuple[str, str]]:
        records = hub.records("audit", namespace=NAME, tail="50000")
        return Counter((one["audit_id"], one["stage"]) for one in records)

    until(lambda: found().keys() >= wanted)
    assert wanted - found().keys() == set()
    assert set(found().values()) == {1}


def test_secrets_are_not_in_the_store(hub: HubProcess, requests_made: None) -> None:
    assert until(lambda: hub.records("audit", namespace=NAME, resource="secrets"))
    assert b"canary-of-e2e" not in hub.get("/api/v1/audit", namespace=NAME, tail="50000").data


def test_what_nobody_took_from_the_api_server_is_a_gap(hub: HubProcess, tmp_path: Path) -> None:
    """Its webhook leads nowhere, as to a hub that is away for longer than it tries."""
    if lacks := no_audit():
        pytest.skip(lacks)
    settings = tmp_path / "webhook.yaml"
    settings.write_text(yaml.safe_dump(webhook({"server": "https://127.0.0.1:9/v1/audit"}, "none")))

    def dropped() -> list[dict[str, Any]]:
        gaps = hub.records("gaps", cause="audit_dropped")
        return [one for one in gaps if "webhook" in one["detail"]]

    assert not dropped()
    try:
        cluster_up(str(settings), AUDIT_BACKOFF="100ms")
        for _ in range(5):
            kubectl("get", "namespaces")
        found = until(dropped)
    finally:
        cluster_up("none")
    assert found[0]["amount"] >= 5
    assert (found[0]["what"], found[0]["unit"], found[0]["cluster"]) == ("audit", "events", "lab")
    assert found[0]["from_time"] < found[0]["to_time"]


def test_the_api_server_says_what_it_dropped(hub: HubProcess) -> None:
    started, counts = read_metrics(connect(KUBECONFIG, in_cluster=False).text("/metrics"))
    assert float(started) > 1e9
    dropped = [one for one in hub.records("gaps") if one["cause"] == "audit_dropped"]
    assert sum(one["amount"] for one in dropped if "webhook" not in one["detail"]) == sum(counts.values())
