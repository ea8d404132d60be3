"""The inventory at a real API server: owners, history over restarts, watches that break, hostile objects."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from keelwatch.hub.inventory import InventoryService
from keelwatch.ingest.recorder import Recorder
from keelwatch.inventory.bounds import MAX_LABELS
from keelwatch.inventory.client import Api, ApiError, connect
from keelwatch.inventory.teams import TeamRules
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate
from tests.e2e_support import settle, until

pytestmark = pytest.mark.cluster

KUBECONFIG = Path(os.environ.get("KUBECONFIG", "/tmp/lab/admin.kubeconfig"))
IMAGE = os.environ.get("KEELWATCH_TEST_IMAGE", "localhost/pause:lab")
CLUSTER = f"cluster-{uuid4().hex[:6]}"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
REPLICA_SETS = "/apis/apps/v1/namespaces/{}/replicasets"
PODS = "/api/v1/namespaces/{}/pods"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
CRON_JOBS = "/apis/batch/v1/namespaces/{}/cronjobs"


def delete(api: Api, path: str) -> None:
    with api._answer("DELETE", f"{path}?gracePeriodSeconds=0", None, None, 30.0) as response:
        response.read()


class Proxy:
    """A TCP proxy before the API server that can be paused, and its connections cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.flowing = threading.Event()
        self.flowing.set()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                inner = self._listener.accept()[0]
                outer = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [inner, outer]
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            end.close()

    def cut(self) -> None:
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self) -> None:
        self._listener.close()
        self.flowing.set()
        self.cut()


class World:
    """A store of its own, a namespace of its own, and inventories that come and go like hubs do."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.namespace = f"inventory-{uuid4().hex[:6]}"
        self.database = EmbeddedDatabase(folder / "store")
        migrate(self.database, EMBEDDED)
        (folder / "ingest").mkdir()
        self.recorder = Recorder(self.database, folder, folder / "ingest")
        labels = {"team": "payments"}
        api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace, "labels": labels}})
        until(self._has_account)

    def _has_account(self) -> bool:
        try:
            self.api.get(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default")
        except ApiError:
            return False
        return True

    def hub(self, api: Api | None = None) -> InventoryService:
        made = InventoryService(api or self.api, CLUSTER, TeamRules(), self.database, self.recorder)
        made.start()
        assert made.inventory.ready.wait(30)
        return made

    def create(self, where: str, name: str, spec: dict[str, Any], **meta: Any) -> dict[str, Any]:
        return self.api.post(where.format(self.namespace), {"metadata": {"name": name, **meta}, "spec": spec})

    def deployment(self, name: str, replicas: int = 1, image: str = IMAGE, **meta: Any) -> dict[str, Any]:
        labels = {"app": name[:60]}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(image)},
        }
        return self.create(DEPLOYMENTS, name, spec, **meta)

    def objects(self, **equal: str) -> list[dict[str, Any]]:
        known = {"namespace": self.namespace, "cluster": CLUSTER} | equal
        where = " AND ".join(f"{name} = {{{name}:String}}" for name in known)
        return self.database.query(f"SELECT * FROM objects WHERE {where} ORDER BY time, seq, row", known)

    def lifecycle(self, kind: str, **equal: str) -> list[dict[str, Any]]:
        known = {"namespace": self.namespace, "cluster": CLUSTER, "kind": kind} | equal
        where = " AND ".join(f"{name} = {{{name}:String}}" for name in known)
        return self.database.query(f"SELECT * FROM lifecycle WHERE {where} ORDER BY time", known)


def pod_spec(image: str = IMAGE) -> dict[str, Any]:
    return {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "app", "image": image, "imagePullPolicy": "Never"}],
    }


@pytest.fixture(scope="module")
def world(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(api, tmp_path_factory.mktemp("inventory"))
    yield made
    delete(api, f"/api/v1/namespaces/{made.namespace}")
    made.database.close()


@pytest.fixture
def hub(world: World) -> Iterator[InventoryService]:
    made = world.hub()
    yield made
    made.stop()


def test_a_rollout_is_history_with_owner_revision_image_and_team(world: World, hub: InventoryService) -> None:
    world.deployment("checkout", replicas=2)
    assert until(lambda: world.lifecycle("rolled_out", workload="checkout"))
    started = until(lambda: [*world.lifecycle("pod_started", workload="checkout")][1:])
    assert started[0]["workload_kind"] == "Deployment"
    assert started[0]["team"] == "payments"
    pods = [row for row in world.objects(kind="Pod", workload="checkout") if row["container_ids"]]
    assert pods[0]["owner_kind"] == "ReplicaSet"
    assert pods[0]["image_digests"][0].startswith("sha256:")
    revision = pods[0]["revision"]
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": f"{IMAGE}-other"}]}}}}
    world.api.patch(f"{DEPLOYMENTS.format(world.namespace)}/checkout", patch)
    changed = until(lambda: world.lifecycle("image_changed", workload="checkout"))
    assert f'"to":"{IMAGE}-other"' in changed[0]["detail"]
    newer = until(
        lambda: [row for row in world.objects(kind="Pod", workload="checkout") if row["revision"] != revision]
    )
    assert newer[0]["images"] == [f"{IMAGE}-other"]
    assert newer[0]["workload_kind"] == "Deployment"


def test_the_feed_of_a_node_has_its_pods_only_and_says_when_they_go(
    world: World, hub: InventoryService
) -> None:
    world.create(PODS, "alone", pod_spec())
    row = until(lambda: [row for row in world.objects(kind="Pod", name="alone") if row["node"]])[0]
    news = hub.inventory.news(row["node"], 0)
    told = next(pod for pod in news["pods"] if pod["name"] == "alone")
    assert news["full"]
    assert (told["workload_kind"], told["workload"], told["team"]) == ("Pod", "alone", "payments")
    assert hub.inventory.news("another-node", 0)["pods"] == []
    version = news["version"]
    delete(world.api, f"{PODS.format(world.namespace)}/alone")
    assert until(lambda: row["uid"] in hub.inventory.news(row["node"], version)["gone"])
    assert not hub.inventory.news(row["node"], version)["full"]
    assert until(lambda: world.lifecycle("pod_deleted", pod="alone"))


def test_a_job_of_a_cron_job_and_a_custom_owner(world: World, hub: InventoryService) -> None:
    job = {"template": {"spec": pod_spec("localhost/none:1") | {"restartPolicy": "Never"}}}
    cron = world.create(CRON_JOBS, "nightly", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}})
    uid = cron["metadata"]["uid"]
    owner = {
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": uid, "controller": True
    }  # fmt: skip
    world.create(JOBS, "by-hand", job, ownerReferences=[owner])
    found = until(lambda: world.objects(kind="Pod", workload="nightly"))
    assert (found[0]["workload_kind"], found[0]["owner_kind"]) == ("CronJob", "Job")
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "cart", "uid": str(uuid4())}
    labels = {"app": "cart"}
    template = {"metadata": {"labels": labels}, "spec": pod_spec()}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    world.create(REPLICA_SETS, "cart-5d", spec, ownerReferences=[owner | {"controller": True}])
    found = until(lambda: world.objects(kind="Pod", workload="cart"))
    assert found[0]["workload_kind"] == "Rollout"
    until(lambda: hub.inventory.get(uid) is not None)
    delete(world.api, f"{CRON_JOBS.format(world.namespace)}/nightly")
    assert until(lambda: world.objects(kind="CronJob", event="deleted"))
    gone = until(lambda: world.objects(kind="Pod", event="deleted", workload="nightly"))
    assert gone[0]["workload_kind"] == "CronJob", "the job went before its pod"


def test_what_happens_while_the_hub_is_away_is_written_once_and_whole(world: World) -> None:
    hub = world.hub()
    world.deployment("stays")
    world.deployment("goes")
    assert until(lambda: hub.inventory.ready.is_set() and world.lifecycle("rolled_out", workload="goes"))
    assert until(lambda: world.lifecycle("rolled_out", workload="stays"))
    settle(lambda: len(world.objects(workload="stays")))
    hub.stop()
    pods = {row["uid"] for row in world.objects(kind="Pod", workload="goes")}
    before = {row["uid"]: row for row in world.objects(workload="stays")}
    count = len(world.objects(workload="stays"))
    delete(world.api, f"{DEPLOYMENTS.format(world.namespace)}/goes")
    assert until(lambda: not pods & {
        pod["metadata"]["uid"] for pod in world.api.get(PODS.format(world.namespace))["items"]
    })  # fmt: skip
    world.create(PODS, "born", pod_spec())
    hub = world.hub()
    try:
        gone = until(lambda: world.objects(kind="Pod", event="gone"))
        assert {row["uid"] for row in gone} >= pods
        assert {
            (row["workload_kind"], row["workload"], row["team"]) for row in gone if row["uid"] in pods
        } == {("Deployment", "goes", "payments")}
        assert until(lambda: world.lifecycle("pod_deleted", workload="goes"))
        assert until(lambda: world.objects(kind="Pod", name="born", event="added"))
        assert before
        assert len(world.objects(workload="stays")) == count, "nothing changed, nothing is written"
    finally:
        hub.stop()


def proxied(proxy: Proxy, folder: Path, server: str) -> Path:
    config = yaml.safe_load(KUBECONFIG.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    config["clusters"][0]["cluster"]["tls-server-name"] = server
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def proxy(api: Api) -> Iterator[Proxy]:
    host, _, port = api.server.removeprefix("https://").partition(":")
    made = Proxy(host, int(port or 443))
    yield made
    made.close()


def test_a_watch_that_cannot_go_on_lists_again_and_says_what_it_missed(
    world: World, proxy: Proxy, tmp_path: Path, api: Api
) -> None:
    host = api.server.removeprefix("https://").partition(":")[0]
    hub = world.hub(connect(proxied(proxy, tmp_path, host)))
    try:
        world.create(PODS, "short", pod_spec())
        assert until(lambda: world.objects(kind="Pod", name="short"))
        proxy.flowing.clear()
        delete(world.api, f"{PODS.format(world.namespace)}/short")
        world.create(PODS, "late", pod_spec())
        time.sleep(1)
        assert not world.objects(kind="Pod", name="late"), "the proxy does not hold back"
        for watcher in hub._watchers:
            watcher._version = "1"  # older than anything the server still has: it answers 410
        proxy.cut()
        proxy.flowing.set()
        assert until(lambda: world.objects(kind="Pod", name="late"))
        assert until(lambda: world.objects(kind="Pod", name="short", event="gone"))
        gaps = until(lambda: world.database.query(
            "SELECT * FROM gaps WHERE cause = 'inventory_off' AND cluster = {c:String} "
            "AND startsWith(detail, 'Pod')", {"c": CLUSTER}
        ))  # fmt: skip
        assert gaps[0]["unit"] == "seconds"
    finally:
        hub.stop()


def test_a_cut_connection_goes_on_where_it_was(world: World, proxy: Proxy, tmp_path: Path, api: Api) -> None:
    host = api.server.removeprefix("https://").partition(":")[0]
    hub = world.hub(connect(proxied(proxy, tmp_path, host)))
    try:
        before = world.database.query("SELECT count() AS n FROM gaps WHERE cause = 'inventory_off'")[0]["n"]
        proxy.cut()
        world.create(PODS, "after-the-cut", pod_spec())
        assert until(lambda: world.objects(kind="Pod", name="after-the-cut"))
        after = world.database.query("SELECT count() AS n FROM gaps WHERE cause = 'inventory_off'")[0]["n"]
        assert after == before
    finally:
        hub.stop()


def test_an_object_with_ten_thousand_labels_and_names_at_their_limits(
    world: World, hub: InventoryService
) -> None:
    labels = {f"l{number:05}": "v" * 63 for number in range(10_000)} | {"team": "hostile"}
    world.deployment("many-labels", replicas=0, labels=labels)
    row = until(lambda: world.objects(kind="Deployment", name="many-labels"))[0]
    assert (len(row["labels"]), row["labels_cut"]) == (MAX_LABELS, 10_001 - MAX_LABELS)
    assert row["team"] == "hostile"
    name = "n" * 253
    world.deployment(name, replicas=1)
    found = until(lambda: world.objects(kind="Pod", workload=name))
    assert found[0]["workload_kind"] == "Deployment"
