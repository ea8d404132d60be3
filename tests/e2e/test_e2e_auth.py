"""Agents' tokens, the node they are good for, permissions and the CA, at a real API server."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import urllib3
import yaml

from keelwatch.inventory.client import Api, ApiError, connect
from keelwatch.inventory.permissions import Permission, lacking, of_the_agents, of_the_inventory
from keelwatch.model.batch import BatchHeader, encode_frame
from tests.e2e_support import until
from tests.hub_support import DAY, alert_row, compress

pytestmark = pytest.mark.cluster

KUBECONFIG = Path(os.environ.get("KUBECONFIG", "/tmp/lab/admin.kubeconfig"))


def delete(api: Api, path: str) -> None:
    with api._answer("DELETE", path, None, None, 30.0) as response:
        response.read()


class World:
    """A namespace with two ServiceAccounts, a ConfigMap for the CA, and a pod that runs on a real node."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.name = f"auth-{uuid4().hex[:6]}"
        self.path = f"/api/v1/namespaces/{self.name}"
        api.post("/api/v1/namespaces", {"metadata": {"name": self.name}})
        for account in ("agent", "other"):
            api.post(f"{self.path}/serviceaccounts", {"metadata": {"name": account}})
        api.post(f"{self.path}/configmaps", {"metadata": {"name": "ca"}})
        self.pods = {account: self._pod(account) for account in ("agent", "other")}
        self.node = str(self.pods["agent"]["spec"]["nodeName"])

    def _pod(self, account: str) -> dict[str, Any]:
        container = {"name": "app", "image": "localhost/pause:lab", "imagePullPolicy": "Never"}
        spec = {"serviceAccountName": account, "containers": [container], "terminationGracePeriodSeconds": 0}
        self.api.post(f"{self.path}/pods", {"metadata": {"name": f"{account}-1"}, "spec": spec})

        def placed() -> dict[str, Any] | None:
            found = self.api.get(f"{self.path}/pods/{account}-1")
            return found if found["spec"].get("nodeName") else None

        return until(placed)

    def token(self, account: str = "agent", audience: str = "keelwatch", *, bound: bool = True) -> str:
        spec: dict[str, Any] = {"audiences": [audience], "expirationSeconds": 600}
        if bound:
            meta = self.pods[account]["metadata"]
            spec["boundObjectRef"] = {
                "kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"],
            }  # fmt: skip
        answer = self.api.post(f"{self.path}/serviceaccounts/{account}/token", {"spec": spec})
        return str(answer["status"]["token"])


@pytest.fixture(scope="module")
def world(api: Api) -> Iterator[World]:
    made = World(api)
    yield made
    delete(api, made.path)


class Hub:
    """`keelwatch hub` as it is started in a cluster, but for the kubeconfig."""

    def __init__(self, data: Path, world: World, kubeconfig: Path = KUBECONFIG) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.data, self.url = data, f"https://localhost:{port}"
        self.log = data.with_suffix(".log")
        arguments = [
            "--data", data, "--listen", f"0.0.0.0:{port}", "--tls-auto", "--tls-name", "hub.example",
            "--kubeconfig", kubeconfig, "--cluster", "lab", "--agent-service-account", f"{world.name}/agent",
            "--publish-ca-configmap", f"{world.name}/ca", "--admin-token-file", data / "admin.token",
            "--audit-token-file", data / "audit.token", "--disk-reserve", "1M",
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "keelwatch.cli.main", "hub", *map(str, arguments)],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.ca = data / "tls" / "ca.crt"
        assert until(self.ready), self.log.read_text()

    def ready(self) -> bool:
        if not self.ca.exists():
            return False
        self.pool = urllib3.PoolManager(retries=False, ca_certs=str(self.ca))
        try:
            return self.pool.request("GET", f"{self.url}/readyz", timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def ask(self, path: str, token: str = "", method: str = "GET", body: bytes | None = None) -> Any:
        token = token or (self.data / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return self.pool.request(method, self.url + path, headers=headers, body=body, timeout=30)

    def send(self, token: str, node: str, spool: str = "", row_node: str = "") -> Any:
        row = alert_row(int(time.time()), node=row_node or node, id=uuid4().hex)
        raw = orjson.dumps(row) + b"\n"
        header = BatchHeader(spool or uuid4().hex, "alerts", 1, DAY, 1, "rows", len(raw), node)
        return self.ask("/v1/batches", token, "POST", encode_frame(header, compress(raw)))

    def metric(self, line: str) -> float:
        text = self.ask("/metrics").data.decode()
        return next((float(one.split()[-1]) for one in text.splitlines() if one.startswith(line)), 0.0)

    def alerts(self, rule: str) -> list[dict[str, Any]]:
        found = self.ask("/api/v1/alerts?tail=1000").data.splitlines()
        return [record for record in map(orjson.loads, found) if record["rule"] == rule]

    def problems(self) -> list[str]:
        return list(orjson.loads(self.ask("/api/v1/status").data)["problems"])


@pytest.fixture(scope="module")
def hub(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    running = Hub(tmp_path_factory.mktemp("auth") / "hub", world)
    yield running
    running.stop()


def test_an_agent_speaks_for_the_node_of_its_pod(hub: Hub, world: World) -> None:
    spool = uuid4().hex
    answer = hub.send(world.token(), world.node, spool)
    assert answer.status == 200, answer.data
    assert orjson.loads(hub.ask(f"/v1/spools/{spool}", world.token()).data)["stored"] == {"alerts": 1}


def test_an_agent_that_claims_another_node_is_refused_counted_and_alerted_on(hub: Hub, world: World) -> None:
    refused = hub.metric('keelwatch_hub_refused_total{reason="impostor"}')
    token, spool = world.token(), uuid4().hex
    for _ in range(3):
        answer = hub.send(token, "node-b", spool)
        assert answer.status == 403
        assert b"node-b" in answer.data
    assert hub.metric('keelwatch_hub_refused_total{reason="impostor"}') == refused + 3
    (alert,) = until(lambda: hub.alerts("Agent Speaks for Another Node"), 10)
    assert (alert["priority"], alert["source"], alert["node"]) == ("Critical", "hub", world.node)
    assert (alert["namespace"], alert["pod"]) == (world.name, "agent-1")
    assert alert["detail"]["claimed_node"] == "node-b"
    assert {"T1036", "pci_10.3.2"} <= set(alert["tags"])
    assert orjson.loads(hub.ask(f"/v1/spools/{spool}", token).data)["stored"] == {}
    shown = subprocess.run(
        [sys.executable, "-m", "keelwatch.cli.main", "alerts", "--hub", hub.url, "--ca-file", str(hub.ca),
         "--token-file", str(hub.data / "admin.token")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Agent Speaks for Another Node" in shown.stdout, shown.stderr


def test_rows_cannot_name_another_node_than_their_batch(hub: Hub, world: World) -> None:
    assert hub.send(world.token(), world.node, row_node="node-b").status == 200  # set aside for good
    found = [orjson.loads(line) for line in hub.ask("/api/v1/alerts?tail=1000").data.splitlines()]
    assert not [record for record in found if record["node"] == "node-b"]
    gaps = hub.ask("/api/v1/gaps?tail=1000&cause=rejected").data.splitlines()
    assert any(orjson.loads(line)["node"] == world.node for line in gaps)


def test_no_other_token_is_good(hub: Hub, world: World) -> None:
    good = world.token()
    head, body, signature = good.split(".")
    forged = f"{head}.{body}.{signature[:-6] + ('AAAAAA' if signature[-6:] != 'AAAAAA' else 'BBBBBB')}"
    cases = {
        "forged": (forged, 401),
        "of another audience": (world.token(audience="https://kubernetes.default.svc"), 401),
        "of another ServiceAccount": (world.token("other"), 403),
        "of no pod": (world.token(bound=False), 403),
        "none": ("kw-" + "x" * 40, 401),
        "of the audit webhook": ((hub.data / "audit.token").read_text().strip(), 403),
    }
    before = hub.metric('keelwatch_hub_unauthorised_total{kind="agent"}')
    got = {name: hub.send(token, world.node).status for name, (token, _) in cases.items()}
    assert got == {name: status for name, (_, status) in cases.items()}
    assert hub.metric('keelwatch_hub_unauthorised_total{kind="agent"}') == before + 3
    assert not (hub.data / "agent.token").exists()  # there is no shared one


def test_the_token_of_a_pod_that_is_gone_is_refused(hub: Hub, world: World, api: Api) -> None:
    world.pods["brief"] = {}
    container = {"name": "app", "image": "localhost/pause:lab", "imagePullPolicy": "Never"}
    spec = {"serviceAccountName": "agent", "containers": [container], "terminationGracePeriodSeconds": 0}
    api.post(f"{world.path}/pods", {"metadata": {"name": "brief"}, "spec": spec})
    pod = until(lambda: (p := api.get(f"{world.path}/pods/brief"))["spec"].get("nodeName") and p)
    meta = pod["metadata"]
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "brief", "uid": meta["uid"]}
    request = {"spec": {"audiences": ["keelwatch"], "expirationSeconds": 600, "boundObjectRef": reference}}
    token = api.post(f"{world.path}/serviceaccounts/agent/token", request)["status"]["token"]
    delete(api, f"{world.path}/pods/brief")

    def gone() -> bool:
        try:
            return api.get(f"{world.path}/pods/brief")["metadata"]["uid"] != meta["uid"]
        except ApiError as error:
            return error.status == 404

    assert until(gone)
    # The API server itself remembers tokens for some seconds.
    assert until(lambda: hub.send(token, world.node).status == 401, 90)


def test_the_ca_is_published_and_stays_the_same(hub: Hub, world: World, api: Api) -> None:
    def published() -> str:
        return (api.get(f"{world.path}/configmaps/ca").get("data") or {}).get("ca.crt", "")

    assert until(published) == hub.ca.read_text()
    answer = hub.ask("/v1/ca")
    assert answer.data.decode() == hub.ca.read_text()
    assert answer.headers["X-Keelwatch-Fingerprint"].startswith("SHA256=")
    context = ssl.create_default_context(cadata=published())
    assert urllib3.PoolManager(ssl_context=context).request("GET", f"{hub.url}/healthz").status == 200


def restricted(world: World, account: str, path: Path) -> Path:
    """A kubeconfig of a ServiceAccount that may do nothing."""
    config = yaml.safe_load(KUBECONFIG.read_text())
    request = {"spec": {"expirationSeconds": 600}}
    token = world.api.post(f"{world.path}/serviceaccounts/{account}/token", request)["status"]["token"]
    config["users"] = [{"name": "sa", "user": {"token": token}}]
    for context in config["contexts"]:
        context["context"]["user"] = "sa"
    path.write_text(yaml.safe_dump(config))
    return path


def test_each_missing_permission_is_named(world: World, api: Api, tmp_path: Path) -> None:
    poor = connect(restricted(world, "other", tmp_path / "kubeconfig"))
    wanted = [*of_the_inventory(), *of_the_agents()]
    assert list(lacking(poor, wanted)) == wanted
    assert list(lacking(api, [*wanted, Permission("get", url="/metrics")])) == []
    told = [permission.missing for permission in wanted]
    pods = 'cannot list pods at the cluster scope (apiGroups [""], resources [pods], verbs [list])'
    assert any(text.startswith(pods) for text in told)


def test_a_hub_without_permissions_says_so_and_keeps_agents_waiting(world: World, tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", world, restricted(world, "other", tmp_path / "kubeconfig"))
    try:
        problems = until(hub.problems, 30)
        assert any("cannot create tokenreviews at the cluster scope" in text for text in problems)
        assert any("cannot patch configmaps ca in the namespace" in text for text in problems)
        assert any("cannot get /metrics (nonResourceURLs" in text for text in problems)
        answer = hub.send(world.token(), world.node)
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        assert "cannot list pods" in hub.ask("/readyz?verbose").data.decode()
        assert "cannot list pods" in hub.log.read_text()
    finally:
        hub.stop()
