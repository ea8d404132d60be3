"""The lines of a watch and the errors of an API server, without one."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from keelwatch.inventory import client
from keelwatch.inventory.client import Api, ApiError, ConnectError, UnreachableError


class Chunks:
    """A response that arrives in these pieces."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    def stream(self, size: int):
        return iter(self.chunks)


def test_lines_are_joined_across_chunks_and_split_within_one() -> None:
    lines = client._lines(Chunks(b'{"a"', b':1}\n\n{"b":2}\n{', b'"c":3}\n'))
    assert list(lines) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_half_a_line_at_the_end_is_an_error_after_the_whole_ones() -> None:
    lines = client._lines(Chunks(b'{"a":1}\n{"b"'))
    assert next(lines) == b'{"a":1}'
    with pytest.raises(UnreachableError, match="middle of a line"):
        next(lines)


def test_a_line_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_LINE", 100)
    with pytest.raises(UnreachableError, match="more than 100 bytes"):
        list(client._lines(Chunks(*[b"x" * 60] * 3)))


def test_a_status_object_becomes_its_code_and_reason() -> None:
    error = client._refusal({"code": 410, "reason": "Expired", "message": "too old"}, 500)
    assert (error.status, error.reason, error.message) == (410, "Expired", "too old")


@pytest.mark.parametrize("told", [None, [], "text", {"code": "x"}])
def test_anything_else_is_an_error_too(told: object) -> None:
    error = client._refusal(told, 502)
    assert isinstance(error, ApiError)
    assert (error.status, error.reason) == (502, "Unknown")


@pytest.mark.parametrize("text", ["", "{", "a: b", "clusters: []", "[]"])
def test_a_kubeconfig_that_leads_nowhere_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ConnectError, match=str(path)):
        client.connect(path)


def test_no_pod_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConnectError, match="environment"):
        client.connect(in_cluster=True)


def test_an_api_server_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(
        "{apiVersion: v1, kind: Config, current-context: c,"
        " clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}],"
        " contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: t}}]}"
    )
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        client.connect(path).get("/version")


class WhoAsks(BaseHTTPRequestHandler):
    """Answers with the number of the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = str(self.client_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_any_server_may_answer_is_asked_over_a_new_connection() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), WhoAsks) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        api = Api(f"http://127.0.0.1:{server.server_port}", urllib3.PoolManager, str)
        kept = {api.text("/metrics") for _ in range(3)}
        new = {api.text_anew("/metrics") for _ in range(3)}
        api.close()
        server.shutdown()
    assert (len(kept), len(new | kept)) == (1, 4)
