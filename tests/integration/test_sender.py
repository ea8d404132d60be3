"""The sender against a real HTTP server that speaks the hub's side of the protocol."""

import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from keelwatch.kit import backoff
from keelwatch.model.batch import decode_frames
from keelwatch.model.identity import Identity
from keelwatch.ship.draft import Draft
from keelwatch.ship.sender import Sender
from keelwatch.ship.spool import Spool


class Hub(ThreadingHTTPServer):
    """Keeps what it receives; `answers` are given, in order, instead of what it would say."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.stored: dict[str, int] = {}
        self.received: list[tuple[str, int, bytes]] = []
        self.answers: list[tuple[int, dict[str, str], dict[str, object]]] = []
        self.refused: tuple[str, int] | None = None
        self.token = ""
        self.asked = 0
        self.scheme = "http"
        self.sizes: list[int] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        self.server.asked += 1
        if self._is_welcome():
            self._answer(200, {"stored": self.server.stored})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_welcome():
            return
        if self.server.answers:
            status, headers, answer = self.server.answers.pop(0)
            self._answer(status, answer, headers)
            return
        self.server.sizes.append(len(body))
        frames = list(decode_frames(body))
        for header, _ in frames:
            if (header.table, header.seq) == self.server.refused:
                self._answer(
                    400,
                    {"error": "bad rows", "spool": header.spool, "table": header.table, "seq": header.seq},
                )
                return
        for header, rows in frames:
            if header.seq > self.server.stored.get(header.table, 0):
                self.server.received.append((header.table, header.seq, bytes(rows)))
                self.server.stored[header.table] = header.seq
        self._answer(200, {"acknowledged": self.server.stored})

    def _is_welcome(self) -> bool:
        if not self.server.token or self.headers.get("Authorization") == f"Bearer {self.server.token}":
            return True
        self._answer(401, {"error": "unknown token"})
        return False

    def _answer(self, status: int, answer: dict, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(backoff.Backoff.__init__, "__defaults__", (0.01, 0.05))


@pytest.fixture
def hub():
    running = Hub()
    yield running
    running.stop()


@pytest.fixture
def spool(tmp_path):
    opened = Spool(tmp_path / "spool", Identity(node="n1"))
    yield opened
    opened.close()


@pytest.fixture
def start(spool):
    started = []

    def begin(hub: Hub, **settings) -> Sender:
        sender = Sender(spool, hub.url, **settings)
        sender.start()
        started.append(sender)
        return sender

    yield begin
    for sender in started:
        sender.stop(0.1)


def fill(spool: Spool, first: int, last: int, table: str = "events", size: int = 10) -> None:
    for n in range(first, last):
        spool.append([Draft(table, "2026-01-01", 1, "rows", str(n).encode() * size)])


def wait_for(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def sent(spool: Spool):
    return lambda: not any(spool.waiting.values())


def test_everything_arrives_in_order_over_one_connection(spool, hub, start):
    fill(spool, 0, 50)
    fill(spool, 0, 50, "alerts")
    sender = start(hub)
    fill(spool, 50, 60)
    wait_for(sent(spool))
    assert [seq for table, seq, _ in hub.received if table == "events"] == list(range(1, 61))
    assert [seq for table, seq, _ in hub.received if table == "alerts"] == list(range(1, 51))
    assert sender.counters.batches == 110
    assert sender.connected


def test_new_batches_are_sent_at_once(spool, hub, start):
    start(hub)
    wait_for(lambda: True)
    fill(spool, 0, 1)
    wait_for(sent(spool), 0.5)


def test_hub_that_is_away_and_comes_back(spool, hub, start):
    port = hub.server_port
    hub.stop()
    sender = start(hub)
    fill(spool, 0, 5)
    wait_for(lambda: sender.counters.failures > 2)
    assert "Connection refused" in sender.problem
    again = Hub(port)
    wait_for(sent(spool))
    again.stop()


def test_stored_numbers_are_asked_for_at_the_start(spool, hub, start):
    fill(spool, 0, 5)
    hub.stored = {"events": 3}
    start(hub)
    wait_for(sent(spool))
    assert [seq for _, seq, _ in hub.received] == [4, 5]


def test_an_agent_with_nothing_to_send_shows_that_it_is_there(hub, start, monkeypatch):
    monkeypatch.setattr("keelwatch.ship.sender.HEARTBEAT", 0.1)
    monkeypatch.setattr("keelwatch.ship.sender.IDLE", 0.05)
    start(hub)
    wait_for(lambda: hub.asked >= 3)


def test_unknown_token_is_counted_and_the_file_read_again(spool, hub, start, tmp_path):
    token = tmp_path / "token"
    token.write_text("old\n")
    hub.token = "new"
    fill(spool, 0, 3)
    sender = start(hub, token_file=token)
    wait_for(lambda: sender.counters.unauthorised > 1)
    assert "does not accept the token" in sender.problem
    token.write_text("new\n")
    wait_for(sent(spool))
    assert sender.connected


def test_batch_that_can_never_be_accepted_is_set_aside(spool, hub, start):
    fill(spool, 0, 5)
    hub.refused = ("events", 3)
    sender = start(hub)
    wait_for(lambda: sent(spool)() and hub.stored.get("gaps"))
    assert [seq for table, seq, _ in hub.received if table == "events"] == [1, 2, 4, 5]
    assert sender.counters.rejected == 1
    assert spool.losses == {("events", "rejected"): 1}


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize(
    "answer",
    [
        {"error": "The plain HTTP request was sent to HTTPS port"},
        {"error": "bad", "spool": None, "table": None, "seq": None},
        {"error": "bad", "spool": "another", "table": "events", "seq": 1},
        {"error": "bad", "table": "events", "seq": 1},
    ],
)
def test_a_refusal_that_does_not_name_a_batch_of_ours_loses_nothing(spool, hub, start, status, answer):
    fill(spool, 0, 1)
    hub.answers = [(status, {}, answer)] * 3
    sender = start(hub)
    wait_for(lambda: str(answer["error"]) in sender.problem)
    wait_for(sent(spool))
    assert [seq for _, seq, _ in hub.received] == [1]
    assert (sender.counters.rejected, spool.losses) == (0, {})


def test_a_batch_that_the_hub_names_as_too_large_is_set_aside(spool, hub, start):
    fill(spool, 0, 2)
    named = {"error": "too large", "spool": spool.id, "table": "events", "seq": 1}
    hub.answers = [(413, {}, named)]
    sender = start(hub)
    wait_for(lambda: sent(spool)() and hub.stored.get("gaps"))
    assert sender.counters.rejected == 1
    assert [seq for table, seq, _ in hub.received if table == "events"] == [2]


def test_what_was_not_sent_is_not_acknowledged(spool, hub, start):
    """Somebody else with a token has filled the hub's numbers."""
    fill(spool, 0, 20, size=1000)
    hub.answers = [(200, {}, {"acknowledged": {"events": 1 << 40, "alerts": 7}})]
    start(hub, request_size=1)
    wait_for(sent(spool))
    assert [seq for _, seq, _ in hub.received] == list(range(2, 21))  # the lie was about the first


def test_an_idle_agent_does_not_take_more_for_stored_than_it_sent(spool, hub, start):
    sender = start(hub)
    wait_for(lambda: sender.connected)
    sender.stop()
    fill(spool, 0, 2)
    hub.stored = {"events": 1 << 40}
    sender.beat()
    assert spool.waiting["events"] == 2


def test_busy_hub_is_left_alone_as_long_as_it_asks(spool, hub, start):
    hub.answers = [(503, {"Retry-After": "0.5"}, {"error": "disk full"})]
    fill(spool, 0, 1)
    began = time.monotonic()
    sender = start(hub)
    wait_for(sent(spool))
    assert time.monotonic() - began >= 0.5
    assert sender.counters.busy == 1


def test_too_large_requests_become_smaller_and_later_larger_again(spool, hub, start, monkeypatch):
    monkeypatch.setattr("keelwatch.ship.carrier.GROW_AFTER", 3)
    fill(spool, 0, 80, size=1000)
    hub.answers = [(413, {}, {})] * 4
    start(hub)
    wait_for(sent(spool))
    assert hub.sizes[0] < 20_000
    assert max(hub.sizes) > 2 * hub.sizes[0]
    assert [seq for _, seq, _ in hub.received] == list(range(1, 81))


@pytest.mark.parametrize("answer", [{}, {"acknowledged": 5}, {"acknowledged": {"events": "x"}}])
def test_nonsense_is_not_taken_for_an_acknowledgement(spool, hub, start, answer):
    fill(spool, 0, 2)
    hub.answers = [(200, {}, answer), (500, {}, {}), (302, {"Location": "http://example.test/"}, {})]
    start(hub)
    wait_for(sent(spool))
    assert [seq for _, seq, _ in hub.received] == [1, 2]


def test_acknowledgement_of_nothing_does_not_spin(spool, hub, start):
    fill(spool, 0, 2)
    hub.answers = [(200, {}, {"acknowledged": {}})]
    sender = start(hub)
    wait_for(lambda: "acknowledged nothing" in sender.problem)
    wait_for(sent(spool))


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


def test_tls_needs_the_right_ca(spool, hub, start, tmp_path):
    key, cert = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    hub.socket = context.wrap_socket(hub.socket, server_side=True)
    hub.scheme = "https"
    fill(spool, 0, 2)
    stranger = start(hub)
    wait_for(lambda: stranger.counters.failures > 0)
    assert "certificate" in stranger.problem.lower()
    stranger.stop(0.1)
    start(hub, ca_file=cert)
    wait_for(sent(spool))
