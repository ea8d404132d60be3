"""Every way a hub can fail has its exit code; the peer is a real HTTP server that answers so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from keelwatch.cli.client import HubClient
from keelwatch.cli.config import Connection
from keelwatch.cli.errors import CliError
from keelwatch.cli.found import tell_amount
from keelwatch.cli.main import main

LINE = '{"time":"2026-11-23T16:12:57.123456789Z","message":"hello","pod":"p","container":"c"}\n'


class Peer(BaseHTTPRequestHandler):
    """Answers with the status that the path's table stands for; keeps what it was asked."""

    asked: ClassVar[list[tuple[str, dict[str, list[str]], str]]] = []
    answer: ClassVar[tuple[int, bytes]] = (200, b"")

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.asked.append((parts.path, parse_qs(parts.query), self.headers.get("Authorization", "")))
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Peer.asked.clear()
    monkeypatch.setenv("KEELWATCH_CONFIG", str(tmp_path / "none.yaml"))
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_filters_become_parameters(hub: str) -> None:
    Peer.answer = (200, LINE.encode())
    code, out, _ = run(
        "logs", "-n", "shop", "deploy/checkout", "-l", "app in (a,b)", "-c", "app", "--since", "10m",
        "--tail", "7", "-f", "--grep", "é&=", "--stream", "stderr", "--hub", hub, "--token", "s3cret",
    )  # fmt: skip
    assert (code, out) == (0, "2026-11-23 16:12:57.123 p/c hello\n")
    assert Peer.asked == [
        (
            "/api/v1/logs",
            {"namespace": ["shop"], "workload": ["deploy/checkout"], "selector": ["app in (a,b)"],
             "container": ["app"], "since": ["10m"], "tail": ["7"], "follow": ["true"], "grep": ["é&="],
             "stream": ["stderr"]},
            "Bearer s3cret",
        )
    ]  # fmt: skip


def test_a_pod_is_named_as_with_kubectl(hub: str) -> None:
    Peer.answer = (200, LINE.encode())
    assert run("events", "pod/checkout-1", "--hub", hub)[0] == 0
    assert Peer.asked[0][1] == {"pod": ["checkout-1"], "phase": ["run"]}


def test_the_set_up_of_containers_is_shown_only_when_asked_for(hub: str) -> None:
    Peer.answer = (200, b"")
    for name in ("events", "timeline"):
        assert run(name, "--hub", hub)[0] == 0
        assert run(name, "--setup", "--hub", hub)[0] == 0
    assert [asked[1] for asked in Peer.asked] == [{"phase": ["run"]}, {}, {"phase": ["run"]}, {}]


def test_nothing_found_is_said_on_stderr_and_is_no_failure(hub: str) -> None:
    Peer.answer = (200, b"")
    for name, what in (("logs", "log lines"), ("alerts", "alerts"), ("gaps", "gaps"), ("events", "events")):
        assert run(name, "--hub", hub) == (0, "", f"No {what} found.\n")


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (401, 4), (403, 4), (404, 1), (422, 2), (500, 3), (503, 3)]
)
def test_statuses_become_exit_codes(hub: str, status: int, code: int) -> None:
    Peer.answer = (status, b'{"error":{"code":"x","message":"what is wrong","hint":"do this"}}')
    found, out, err = run("logs", "--hub", hub, "--token", "t")
    assert (found, out) == (code, "")
    said = "the hub does not know this token" if status == 401 else "what is wrong"
    assert f"{said} (HTTP {status})" in err
    assert status == 401 or "do this" in err


def test_an_alert_that_is_not_there_is_exit_code_1(hub: str) -> None:
    Peer.answer = (404, b"{}")
    assert run("alerts", "show", "01ABC", "--hub", hub)[0] == 1
    assert run("alerts", "show", "../status", "--hub", hub)[0] == 2


@pytest.mark.parametrize("body", [b"not json\n", b'{"cut":'])
def test_a_broken_answer_is_exit_code_3(hub: str, body: bytes) -> None:
    Peer.answer = (200, body)
    assert run("logs", "--hub", hub)[0] == 3
    assert run("status", "--hub", hub)[0] == 3


def test_an_unreachable_hub_is_exit_code_3(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEELWATCH_CONFIG", str(tmp_path / "none.yaml"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        code, _, err = run("logs", "--hub", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert code == 3
    assert "cannot reach the hub" in err


def test_wrong_options_are_exit_code_2() -> None:
    assert run("logs", "--no-such-option")[0] == 2
    assert run("alerts", "--priority", "high")[0] == 2
    assert run("no-such-command")[0] == 2


def told(filters: dict[str, str], hub: str) -> str:
    try:
        tell_amount(HubClient(Connection(hub)), filters, "log lines", 0)
    except CliError as error:
        return f"{error.exit_code}: " + error.message.partition("\n")[0]
    return ""


def test_a_name_that_the_hub_does_not_know_is_said(hub: str) -> None:
    Peer.answer = (200, b'{"workloads":[]}')
    shop = {"namespace": "shop", "workload": "nosuch"}
    assert told(shop, hub) == "1: no workload 'nosuch' is known in namespace 'shop'"
    assert Peer.asked[-1][:2] == ("/api/v1/workloads", {"namespace": ["shop"], "workload": ["nosuch"]})
    assert told({"namespace": "shpo"}, hub) == "1: no workload is known in namespace 'shpo'"
    assert told({"grep": "x"}, hub) == ""
    assert told({"workload": "w", "follow": "true"}, hub) == ""
    Peer.answer = (200, b'{"workloads":[{}]}')
    assert told({"workload": "silent"}, hub) == ""


def test_it_is_said_that_there_is_more(hub: str) -> None:
    Peer.answer = (200, LINE.encode() * 1000)
    assert "These are the newest 1000 log lines; --tail N for more." in run("logs", "--hub", hub)[2]
    assert run("logs", "--hub", hub, "--tail", "1000")[2] == ""
    Peer.answer = (200, LINE.encode() * 999)
    assert run("logs", "--hub", hub)[2] == ""


@pytest.mark.parametrize("arguments", [("events", "--kind", "nonsense"), ("gaps", "--what", "nonsense")])
def test_a_class_that_is_none_is_refused_with_those_there_are(hub: str, arguments: tuple[str, ...]) -> None:
    code, _, err = run(*arguments, "--hub", hub)
    assert code == 2
    assert "nonsense" in err
    assert "rename" in err
    assert not Peer.asked
