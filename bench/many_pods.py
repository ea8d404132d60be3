"""A large cluster: an inventory of many nodes and pods that come and go in a real API server.

The pods are objects that nobody runs. The hub lists them, then follows while pods are deleted and made
anew; agents of some nodes wait for their news as the real ones do. Afterwards the history in the store is
compared with what was made and deleted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from bench.control_plane import ControlPlane, missing
from bench.machine import cpu_seconds, memory, reset_peak
from bench.node import Node
from bench.report import Figure, quantile
from bench.settings import Settings

MIB = 2**20
NAMESPACES = 50
REPLICAS = 100
WORKERS = 16
LISTENERS = 20
WAIT_SECONDS = 10
GIVE_UP_SECONDS = 180.0
Object = dict[str, Any]


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    if reason := missing():
        raise RuntimeError(reason)
    with ControlPlane() as api:
        world = World(api, settings.cluster_nodes, settings.cluster_pods)
        world.fill()
        node = HubOfCluster(api)
        node.keep()
        with node:
            listed = node.listed_all(len(world.pods))
            filled = memory(node.hub_pid) / MIB
            reset_peak(node.hub_pid)
            cpu = cpu_seconds(node.hub_pid)
            delays, took = _churn(world, node, settings)
            cpu = cpu_seconds(node.hub_pid) - cpu
            peak = memory(node.hub_pid, "VmHWM") / MIB
            node.listed_all(len(world.pods))
    missed = _missed(node, world)
    node.remove()
    note = f"{settings.cluster_nodes} nodes, {len(world.pods)} pods"
    churned = f"{len(world.deleted)} pods deleted and made in {took:.0f} s"
    return [
        Figure("start to everything listed", listed, "s", note),
        Figure("hub memory, all listed", filled, "MiB", note),
        Figure("hub peak memory", peak, "MiB", churned),
        Figure("hub CPU", 100 * cpu / took, "% of a core", churned),
        Figure("changes per second", 2 * len(world.deleted) / took, "pods/s", churned),
        Figure(
            "pod made to agent told, p50",
            quantile(delays, 0.5),
            "s",
            f"{len(delays)} pods of {LISTENERS} nodes",
        ),
        Figure("pod made to agent told, p99", quantile(delays, 0.99), "s", f"{len(delays)} pods"),
        Figure("pods missing in the history", missed["missing"], "pods", churned, must_be=0),
        Figure("deleted pods without their end", missed["endless"], "pods", churned, must_be=0),
        Figure("pods without their workload", missed["unowned"], "pods", churned, must_be=0),
    ]


class World:
    """The objects. `pods` maps uid → (namespace, name); `made` is when each was, `deleted` which are gone."""

    def __init__(self, api: ControlPlane, nodes: int, pods: int) -> None:
        self._api = api
        self._nodes = nodes
        self._count = pods
        self._lock = threading.Lock()
        self._sets: dict[str, Object] = {}
        self.pods: dict[str, tuple[str, str, int]] = {}
        self.made: dict[str, float] = {}
        self.deleted: set[str] = set()

    def fill(self) -> None:
        """Make nodes, namespaces, Deployments with their ReplicaSets, and pods."""
        with ThreadPoolExecutor(WORKERS) as threads:
            list(threads.map(self._make_node, range(self._nodes)))
            list(threads.map(self._make_namespace, range(NAMESPACES)))
            list(threads.map(self._make_owner, range(-(-self._count // REPLICAS))))
            list(threads.map(self.make_pod, range(self._count)))

    def make_pod(self, index: int, again: int = 0) -> str:
        """One pod of a ReplicaSet, bound to its node; return its uid."""
        owner = self._sets[f"app-{index // REPLICAS}"]
        namespace = owner["metadata"]["namespace"]
        name = f"{owner['metadata']['name']}-{index:05d}-{again}"
        body = {
            "metadata": {
                "name": name,
                "labels": owner["spec"]["template"]["metadata"]["labels"],
                "ownerReferences": [_reference(owner, "ReplicaSet")],
            },
            "spec": {
                "nodeName": f"node-{index % self._nodes:04d}",
                "containers": [{"name": "app", "image": "localhost/shop/app:1"}],
                "terminationGracePeriodSeconds": 0,
            },
        }
        made = self._api.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)
        uid: str = made["metadata"]["uid"]
        with self._lock:
            self.pods[uid] = (namespace, name, index)
            self.made[uid] = time.monotonic()
        return uid

    def replace_pod(self, uid: str) -> None:
        """Delete a pod and make another one in its place."""
        namespace, name, index = self.pods[uid]
        self._api.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}")
        with self._lock:
            del self.pods[uid]
            self.deleted.add(uid)
        self.make_pod(index, int(name.rsplit("-", 1)[1]) + 1)

    def _make_node(self, index: int) -> None:
        labels = {"kubernetes.io/os": "linux", "topology.kubernetes.io/zone": f"zone-{index % 3}"}
        self._api.request(
            "POST", "/api/v1/nodes", {"metadata": {"name": f"node-{index:04d}", "labels": labels}}
        )

    def _make_namespace(self, index: int) -> None:
        labels = {"team": f"team-{index % 7}"}
        body = {"metadata": {"name": f"ns-{index:02d}", "labels": labels}}
        self._api.request("POST", "/api/v1/namespaces", body)

    def _make_owner(self, index: int) -> None:
        name, namespace = f"app-{index}", f"ns-{index % NAMESPACES:02d}"
        labels = {"app": name, "app.kubernetes.io/part-of": "shop"}
        path = f"/apis/apps/v1/namespaces/{namespace}"
        spec = {"replicas": 0, "selector": {"matchLabels": labels}}
        container = {"name": "app", "image": "localhost/shop/app:1"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        body = {"metadata": {"name": name, "labels": labels}, "spec": {**spec, "template": template}}
        deployment = self._api.request("POST", f"{path}/deployments", body)
        hashed = {**labels, "pod-template-hash": f"{index:08x}"}
        template = {"metadata": {"labels": hashed}, "spec": {"containers": [container]}}
        body = {
            "metadata": {
                "name": f"{name}-{index:08x}",
                "labels": hashed,
                "ownerReferences": [_reference(deployment, "Deployment")],
            },
            "spec": {"replicas": 0, "selector": {"matchLabels": hashed}, "template": template},
        }
        self._sets[name] = self._api.request("POST", f"{path}/replicasets", body)


class HubOfCluster(Node):
    """A hub that watches the cluster."""

    def __init__(self, api: ControlPlane) -> None:
        super().__init__()
        self._hub_options = ("--kubeconfig", str(api.kubeconfig), "--cluster", "bench")
        self._http = urllib3.PoolManager(maxsize=LISTENERS + 8, retries=False)
        self._began = time.monotonic()

    def hub_options(self) -> tuple[str, ...]:
        """What the hub is started with, besides."""
        return self._hub_options

    def listed_all(self, pods: int) -> float:
        """Wait until the store has so many living pods; return the seconds since the start."""
        self.wait_for(lambda: self._living() >= pods, GIVE_UP_SECONDS, f"{pods} pods were not listed")
        return time.monotonic() - self._began

    def _living(self) -> int:
        text = self._http.request("GET", f"{self.address}/metrics").data.decode()
        for line in text.splitlines():
            if line.startswith('keelwatch_hub_inventory_objects{kind="Pod"}'):
                return int(float(line.rsplit(" ", 1)[1]))
        return 0

    def news(self, node: str, since: int) -> Object:
        """What the hub tells a node's agent, once there is something new."""
        token = (self.directory / "data" / "agent.token").read_text().strip()
        answer = self._http.request(
            "GET",
            f"{self.address}/v1/inventory",
            fields={"node": node, "since": str(since), "wait": str(WAIT_SECONDS)},
            headers={"Authorization": f"Bearer {token}"},
            timeout=WAIT_SECONDS + 30,
        )
        found: Object = json.loads(answer.data)
        return found


def _churn(world: World, hub: HubOfCluster, settings: Settings) -> tuple[list[float], float]:
    """Replace pods for a while; return how long each new one took to be told, and the seconds it took."""
    over = threading.Event()
    told: dict[str, float] = {}
    listeners = [threading.Thread(target=_listen, args=(hub, n, told, over)) for n in range(LISTENERS)]
    for listener in listeners:
        listener.start()
    time.sleep(2)
    began, started = time.monotonic(), set(world.made)
    end = began + settings.churn_seconds
    with ThreadPoolExecutor(WORKERS) as threads:
        for _ in threads.map(world.replace_pod, _until(end, sorted(world.pods), settings.churn_rate)):
            pass
    took = time.monotonic() - began
    new = {uid: at for uid, at in world.made.items() if uid not in started}
    wanted = {uid for uid in new if world.pods[uid][2] % settings.cluster_nodes < LISTENERS}
    _wait(lambda: wanted <= told.keys())
    over.set()
    for listener in listeners:
        listener.join()
    return [max(0.0, told[uid] - new[uid]) for uid in wanted if uid in told], took


def _until(end: float, uids: list[str], rate: float) -> Iterator[str]:
    """Each uid at its time, `rate` a second, until `end`."""
    began = time.monotonic()
    for count, uid in enumerate(uids):
        time.sleep(max(0.0, began + count / rate - time.monotonic()))
        if time.monotonic() > end:
            return
        yield uid


def _listen(hub: HubOfCluster, index: int, told: dict[str, float], over: threading.Event) -> None:
    version = 0
    while not over.is_set():
        news = hub.news(f"node-{index:04d}", version)
        now, version = time.monotonic(), news["version"]
        for pod in news["pods"]:
            told.setdefault(pod["uid"], now)


def _wait(condition: Any) -> None:
    end = time.monotonic() + GIVE_UP_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.2)


def _missed(hub: HubOfCluster, world: World) -> dict[str, int]:
    """Compare the history that the hub has left with what was made, in a process of its own."""
    last = "argMax({0}, (time, seq, row)) AS {0}"
    asked = f"SELECT uid, {last.format('event')}, {last.format('workload')} FROM keelwatch.objects"
    sql = f"{asked} WHERE kind = 'Pod' GROUP BY uid"
    script = "import chdb, sys; print(chdb.connect(sys.argv[1]).query(sys.argv[2], 'JSONEachRow'))"
    store = hub.directory / "data" / "hub" / "store"
    said = subprocess.run(
        [sys.executable, "-c", script, store, sql], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found = {row["uid"]: row for row in map(json.loads, said.split())}
    everyone = set(world.pods) | world.deleted
    return {
        "missing": len(everyone - found.keys()),
        "endless": sum(found[uid]["event"] != "deleted" for uid in world.deleted & found.keys()),
        "unowned": sum(not found[uid]["workload"].startswith("app-") for uid in everyone & found.keys()),
    }


def _reference(owner: Object, kind: str) -> Object:
    meta = owner["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }
