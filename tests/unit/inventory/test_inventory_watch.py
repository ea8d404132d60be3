"""The watches at a small HTTP server that answers as an API server, or a proxy before one, does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import urllib3

from keelwatch.hub.inventory import InventoryService
from keelwatch.inventory import inventory as inventory_module
from keelwatch.inventory import watch
from keelwatch.inventory.client import Api
from keelwatch.inventory.inventory import Inventory
from keelwatch.inventory.kinds import KINDS
from keelwatch.inventory.teams import TeamRules
from keelwatch.inventory.watch import Watcher, watchers


class Server(ThreadingHTTPServer):
    """Lists are empty but for one pod; a watch ends `lasting` seconds after it began."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.forbidden: set[str] = set()
        self.lasting = 30.0
        self.watched: Counter[str] = Counter()
        self.ending = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """One request to it."""

    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        resource = url.path.rpartition("/")[2]
        if resource in self.server.forbidden:
            message = f'{resource} is forbidden: User "hub" cannot list resource "{resource}"'
            self._answer(403, {"code": 403, "reason": "Forbidden", "message": message})
        elif "watch" in parse_qs(url.query):
            self.server.watched[resource] += 1
            self.server.ending.wait(self.server.lasting)
            self._answer(200, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "2"}}})
        else:
            self._answer(200, {"metadata": {"resourceVersion": "1"}, "items": list(items(resource))})

    def _answer(self, status: int, body: object) -> None:
        text = orjson.dumps(body) + b"\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def items(resource: str) -> Iterator[dict[str, object]]:
    if resource == "pods":
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-5d", "uid": "u-rs"}
        meta = {"name": "a-5d-x", "namespace": "shop", "uid": "u-p", "ownerReferences": [owner]}
        yield {"metadata": meta | {"creationTimestamp": "2200-01-01T00:00:00Z"}, "spec": {"nodeName": "n1"}}


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.ending.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def inventory() -> Inventory:
    return Inventory("c", TeamRules(), None, lambda *_: None)  # type: ignore[arg-type]  # nothing is written


def api(server: Server) -> Api:
    address = f"http://127.0.0.1:{server.server_port}"
    return Api(address, lambda: urllib3.PoolManager(maxsize=32, retries=False), str)


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def node_watch(server: Server, inventory: Inventory) -> Iterator[Watcher]:
    kind = next(one for one in KINDS if one.name == "Node")
    made = Watcher(api(server), kind, inventory, lambda *_: None, [])
    yield made
    made.stop()


def test_watches_that_end_at_once_come_more_and_more_seldom(server: Server, node_watch: Watcher) -> None:
    server.lasting = 0.0
    node_watch.start()
    time.sleep(2.0)
    assert 2 <= server.watched["nodes"] <= 6


def test_a_watch_that_lasted_is_followed_at_once(
    server: Server, node_watch: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LASTING", 0.02)
    server.lasting = 0.05
    node_watch.start()
    until(lambda: server.watched["nodes"] >= 10, 3.0)
    assert not node_watch.state.problem


def test_watches_that_end_at_once_for_long_are_told(
    server: Server, node_watch: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LASTING", 0.3)
    server.lasting = 0.0
    node_watch.start()
    until(lambda: "ended at once" in node_watch.state.problem)


def test_what_is_forbidden_stops_nothing_else(server: Server, inventory: Inventory) -> None:
    server.forbidden = {"replicasets", "replicationcontrollers"}
    watching = watchers(api(server), inventory, lambda *_: None)
    for one in watching:
        one.start()
    until(inventory.ready.is_set, 5.0)  # pods do not wait for what will not come
    until(lambda: sum(server.watched.values()) >= len(KINDS) - 2)
    for one in watching:
        one.stop()
    problems = [one.state.problem for one in watching if one.state.problem]
    assert len(problems) == 2
    assert all('forbidden: User "hub" cannot list resource' in text for text in problems)
    until(lambda: inventory.news("n1", 0)["pods"], 1.0)


class Nothing:
    """A store without rows, and who writes into it."""

    def lookup(self, *_: object) -> list[object]:
        return []

    def write(self, *_: object) -> None:
        """Keep nothing."""


@pytest.fixture
def service(server: Server) -> Iterator[InventoryService]:
    made = InventoryService(api(server), "c", TeamRules(), Nothing(), Nothing())  # type: ignore[arg-type]
    yield made
    server.ending.set()
    made.stop()


def test_the_service_tells_an_agent_that_waits_of_a_pod_without_its_owner(
    service: InventoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory_module, "ORPHAN", 1.5)
    service.start()
    assert service.inventory.ready.wait(10)
    version = service.inventory.news("n1", 0)["version"]
    woken = threading.Event()
    leave = service.inventory.subscribe("n1", woken.set)
    assert not service.inventory.has_news("n1", version)
    assert woken.wait(10)
    leave()
    assert [one["name"] for one in service.inventory.news("n1", version)["pods"]] == ["a-5d-x"]


def test_the_service_says_which_kind_it_may_not_see(server: Server, service: InventoryService) -> None:
    server.forbidden = {"jobs"}
    service.start()
    until(service.problems)
    (problem,) = service.problems()
    wanted = 'inventory of Job: 403 Forbidden: jobs is forbidden: User "hub" cannot list resource "jobs"'
    assert problem == wanted
    assert [life.uid for life in service.lives("shop", "a-5d-x")] == ["u-p"], "it waits for the first list"
