"""The agent's small HTTP server: metrics, and the two questions of the kubelet's probes."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from keelwatch.agent.metrics import Reading, serve


class Probes:
    def __init__(self) -> None:
        self.dead = ""
        self.unready = "the hub has not answered yet"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture
def probes() -> Iterator[Probes]:
    found = Probes()
    readings = [Reading("keelwatch_agent_events", "Events", lambda: 7)]
    stop = serve(f"127.0.0.1:{found.port}", readings, lambda: found.dead, lambda: found.unready)
    yield found
    stop()


def test_metrics(probes: Probes) -> None:
    status, text = probes.get("/metrics")
    assert status == 200
    assert "keelwatch_agent_events_total 7.0" in text


def test_an_agent_that_lives_but_is_not_ready(probes: Probes) -> None:
    assert probes.get("/healthz") == (200, "ok\n")
    assert probes.get("/readyz") == (503, "the hub has not answered yet\n")
    probes.unready = ""
    assert probes.get("/readyz?verbose=1") == (200, "ok\n")


def test_an_agent_that_must_be_restarted(probes: Probes) -> None:
    probes.dead = "these threads have ended: outbox"
    assert probes.get("/healthz") == (503, "these threads have ended: outbox\n")


def test_other_addresses(probes: Probes) -> None:
    assert probes.get("/../../etc/passwd")[0] == 404


def test_one_that_says_nothing_keeps_nobody_waiting(probes: Probes) -> None:
    with socket.create_connection(("127.0.0.1", probes.port)):
        assert probes.get("/healthz")[0] == 200
