"""Coverage in a real cluster: pods from before the agent, nodes that nobody watches, namespaces in scope."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from keelwatch.inventory.client import Api, ApiError, UnreachableError, connect
from tests.coverage_support import Site, events_missing, moment
from tests.stack_support import eventually, keelwatch, missing_for_stack

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.sensor]

KUBECONFIG = Path(os.environ.get("KUBECONFIG", "/tmp/lab/admin.kubeconfig"))
IMAGE = os.environ.get("KEELWATCH_TEST_IMAGE", "localhost/pause:lab")
SECONDS = 120.0
NODE_INFO = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion",
    "kubeletVersion", "kubeProxyVersion",
)  # fmt: skip


class World:
    """A namespace of its own, a node that is only an object, and a hub and an agent beside the cluster."""

    def __init__(self, api: Api, site: Site) -> None:
        self.api, self.site = api, site
        self.namespace = f"coverage-{uuid4().hex[:6]}"
        self.ghost = f"ghost-{uuid4().hex[:6]}"
        nodes = api.get("/api/v1/nodes")["items"]
        site.node = next(one["metadata"]["name"] for one in nodes if _is_ready(one))
        labels = {"pci": "in"}
        api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace, "labels": labels}})
        eventually(self._has_account, "no service account", SECONDS)

    def _has_account(self) -> bool:
        try:
            self.api.get(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default")
        except ApiError:
            return False
        return True

    def pod(self, name: str, node: str = "") -> str:
        """A running pod's container id; on the ghost, what its kubelet would say if it had one."""
        spec = {
            "nodeName": node or self.site.node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": IMAGE, "imagePullPolicy": "Never"}],
        }
        labels = {"app": name}
        self.api.post(self._pods(), {"metadata": {"name": name, "labels": labels}, "spec": spec})
        if node == self.ghost:
            self._pretend(name)
        return str(eventually(lambda: self._container(name), f"{name} does not run", SECONDS))

    def ghost_node(self, system: str) -> None:
        self.api.post("/api/v1/nodes", {"metadata": {"name": self.ghost}})
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
        info = dict.fromkeys(NODE_INFO, "x") | {"operatingSystem": system, "architecture": "amd64"}
        status = {"conditions": [ready], "nodeInfo": info}
        self._patch(f"/api/v1/nodes/{self.ghost}/status", {"status": status})

    def delete(self, path: str) -> None:
        with self.api._answer("DELETE", f"{path}?gracePeriodSeconds=0", None, None, 30.0) as response:
            response.read()

    def clean(self) -> None:
        for path in (f"/api/v1/nodes/{self.ghost}", f"/api/v1/namespaces/{self.namespace}"):
            with suppress(ApiError):  # what a test did not make
                self.delete(path)

    def _pretend(self, name: str) -> None:
        state = {"running": {"startedAt": _now()}}
        one = {"name": "app", "image": IMAGE, "imageID": "", "ready": True, "restartCount": 0, "state": state,
               "containerID": f"containerd://{uuid4().hex * 2}"}  # fmt: skip
        status = {"phase": "Running", "startTime": _now(), "containerStatuses": [one]}
        self._patch(f"{self._pods()}/{name}/status", {"status": status})

    def _patch(self, path: str, body: dict[str, Any]) -> None:
        kind = "application/merge-patch+json"
        with self.api._answer("PATCH", path, None, body, 30.0, content_type=kind) as response:
            response.read()

    def _container(self, name: str) -> str:
        status = self.api.get(f"{self._pods()}/{name}")["status"]
        statuses = [one for one in status.get("containerStatuses", []) if one["state"].get("running")]
        return str(statuses[0]["containerID"].partition("//")[2]) if statuses else ""

    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def one(self, container_id: str, check: Callable[[dict[str, Any]], Any] = bool) -> dict[str, Any]:
        """The container's record, as soon as it satisfies `check`."""

        def found() -> dict[str, Any] | None:
            listed = self.site.coverage(namespace=self.namespace)["containers"]
            mine = [one for one in listed if one["container_id"] == container_id]
            return mine[0] if mine and check(mine[0]) else None

        return eventually(found, "the container is not as it should be", SECONDS)  # type: ignore[no-any-return]

    def is_watched(self) -> bool:
        states = {one["node"]: one["state"] for one in self.site.coverage()["nodes"]}
        return states.get(self.site.node) == "watched"

    def start(self) -> None:
        self.site.start("hub", "--kubeconfig", str(KUBECONFIG), "--cluster", self.site.cluster)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["metadata"]["name"].startswith("ghost-")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@pytest.fixture
def world() -> Iterator[World]:
    if not KUBECONFIG.is_file():
        pytest.skip(f"no cluster: {KUBECONFIG} is not there")
    if missing := missing_for_stack():
        pytest.skip(f"no agent can run here: {missing}")
    api = connect(KUBECONFIG)
    try:
        api.get("/version")
    except (ApiError, UnreachableError) as error:
        pytest.skip(f"no cluster: {error}")
    site = Site()
    made = World(api, site)
    try:
        yield made
    finally:
        made.clean()
        site.close()


def test_a_pod_from_before_the_agent_and_one_from_after(world: World) -> None:
    early = world.pod("early")
    world.start()
    one = world.one(early)
    assert one["known_by"] == "kubernetes"
    assert {part["cause"] for part in one["events"]["missing"] + one["logs"]["missing"]} == {"no_agent"}
    world.site.start("agent")
    one = world.one(early, lambda one: events_missing(one, "before_agent") and not one["logs"]["missing"])
    [(begin, end)] = events_missing(one)
    assert one["known_by"] == "kubernetes+agent"
    assert begin == moment(one["ran"][0]["from"])
    assert end == moment(one["events"]["observed"][0]["from"])
    late = world.pod("late")
    one = world.one(late, lambda one: one["known_by"] == "kubernetes+agent")
    assert not one["events"]["missing"]
    assert not one["logs"]["missing"]
    report = world.site.coverage(namespace=world.namespace, by="container")
    percents = {group["pod"]: group["events"]["percent"] for group in report["groups"]}
    assert percents["late"] == 100
    assert percents["early"] < 100
    assert report["inventories"] == [world.site.cluster]


def test_a_node_that_nobody_watches_is_missing_wholly_and_fails_a_build(world: World) -> None:
    world.ghost_node("linux")
    lonely = world.pod("lonely", world.ghost)
    world.start()
    world.site.start("agent")
    eventually(world.is_watched, "the agent did not come", SECONDS)
    watched = world.pod("watched")
    world.one(watched, lambda one: one["known_by"] == "kubernetes+agent" and not one["logs"]["missing"])
    one = world.one(lonely)
    for kind in ("events", "logs"):
        [part] = one[kind]["missing"]
        assert part["cause"] == "no_agent"
        assert {"from": part["from"], "to": part["to"]} == one["ran"][0]
    report = world.site.coverage(scope="pci=in", namespace=world.namespace, by="node")
    percents = {group["node"]: group["percent"] for group in report["groups"]}
    assert percents == {world.ghost: 0, world.site.node: 100}
    states = {node["node"]: node["state"] for node in report["nodes"]}
    assert states[world.ghost] == "no_agent"
    assert states[world.site.node] == "watched"
    token = (
        "--hub",
        f"http://{world.site.address}",
        "--token-file",
        str(world.site.directory / "admin.token"),
    )
    in_scope = (*token, "--scope", "pci=in", "-n", world.namespace, "--fail-under", "100")
    failed = keelwatch("coverage", *in_scope)
    assert failed.returncode == 1
    assert world.ghost in failed.stdout
    assert "no agent ever reported from this node" in failed.stdout
    assert keelwatch("coverage", *in_scope, "--node", world.site.node).returncode == 0
    out_of_scope = world.site.coverage(scope="pci=out", namespace=world.namespace)
    assert out_of_scope["total"]["containers"] == 0


def test_a_windows_node_is_said_to_be_one(world: World) -> None:
    world.ghost_node("windows")
    lonely = world.pod("lonely", world.ghost)
    world.start()
    one = world.one(lonely)
    assert {part["cause"] for part in one["events"]["missing"] + one["logs"]["missing"]} == {"windows_node"}
    states = {node["node"]: node["state"] for node in world.site.coverage()["nodes"]}
    assert states[world.ghost] == "windows_node"
