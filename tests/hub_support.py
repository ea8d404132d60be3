"""What tests need to talk to a real hub: frames as an agent makes them, and a hub in a child process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import urllib3
import zstandard

from keelwatch.model.batch import BatchHeader, encode_frame
from keelwatch.model.identity import Identity
from keelwatch.model.logchunk import encode_chunk

DAY = "2026-01-15"
CONTAINER = "c0ffee" + "0" * 58
IDENTITY = Identity(
    cluster="test", node="node-1", namespace="shop", pod="checkout-5d-x1", pod_uid="u-1", container="app",
    container_id=CONTAINER, image="registry.test/shop/checkout:1", workload_kind="Deployment",
    workload="checkout",
    revision="5d", identity_source="workload=inferred",
)  # fmt: skip
_MAIN = """
import logging, os, sys
from pathlib import Path
from keelwatch.hub.main import run_hub
from keelwatch.hub.settings import HubSettings
logging.basicConfig(level=logging.INFO)
data = Path(sys.argv[1])
run_hub(HubSettings(data=data, listen=sys.argv[2], admin_token_file=data / "admin.token",
                    viewer_token_file=data / "viewer.token",
                    tls_cert=Path(sys.argv[3]) if len(sys.argv) > 3 else None,
                    tls_key=Path(sys.argv[4]) if len(sys.argv) > 4 else None,
                    audit_token_file=data / "audit.token",
                    rules=tuple(map(Path, os.environ.get("KEELWATCH_TEST_RULES", "").split())),
                    rules_fallback=True,
                    audit_logs=tuple(map(Path, os.environ.get("KEELWATCH_TEST_AUDIT_LOGS", "").split())),
                    disk_reserve=int(os.environ.get("KEELWATCH_TEST_RESERVE", 1 << 20))))
"""


def compress(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(raw)


def line(number: int, text: str = "") -> bytes:
    """A CRI line whose time and message carry its number."""
    minute, second = divmod(number // 1000, 60)
    stamp = f"{DAY}T12:{minute % 60:02}:{second:02}.{number % 1000:03}{number % 1_000_000:06}Z"
    return f"{stamp} stdout F line {number}{text}\n".encode()


def log_frame(
    seq: int, lines: bytes, *, spool: str = "spool-1", day: str = DAY, kind: str = "cri",
    identity: Identity = IDENTITY, rows: int | None = None,
) -> bytes:  # fmt: skip
    raw = encode_chunk(kind, 0, 0, identity, lines)
    count = lines.count(b"\n") if rows is None else rows
    header = BatchHeader(spool, "logs", seq, day, count, "chunks", len(raw), identity.node)
    return encode_frame(header, compress(raw))


def rows_frame(
    table: str,
    seq: int,
    rows: list[dict[str, Any]],
    *,
    spool: str = "spool-1",
    day: str = DAY,
    node: str = IDENTITY.node,
) -> bytes:
    raw = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    header = BatchHeader(spool, table, seq, day, len(rows), "rows", len(raw), node)
    return encode_frame(header, compress(raw))


def alert_row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A row as the agent makes it."""
    row = {
        **IDENTITY.columns(),
        "time": 1_768_478_400_000_000_000 + number,
        "id": f"alert-{number}",
        "rule": "Drop and execute new binary in container",
        "priority": "Critical",
        "tags": ["PCI_DSS_10.2.5", "T1059"],
        "output": f"new binary run number {number}",
        "source": "syscall",
        "count": 1,
        "kind": "exec",
        "type": "execve",
        "result": 0,
        "phase": "run",
        "pid": 17,
        "exe": "/tmp/x",
        "cmdline": "/tmp/x -v",
        "process": '{"pid":17,"name":"x"}',
        "ancestors": '[{"pid":1,"name":"sh"}]',
        "path": "/tmp/x",
        "path_source": "kernel",
        "story": '{"sentence":"sh wrote it"}',
        "detail": "{}",
    }
    return row | changes


@dataclass
class HubProcess:
    """A real hub on a free port of the loopback address, with its data in `data`."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)
    tls: tuple[Path, ...] = ()  # certificate, key
    keep_port: bool = False  # come back where it was; else each start is at another port
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    def start(self, wait: bool = True, **environment: str) -> HubProcess:
        address = self.url.rpartition("//")[2] if self.keep_port else ""
        if not address:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        if self.tls:
            self.url = f"https://{address.replace('127.0.0.1', 'localhost')}"
            self.pool = urllib3.PoolManager(ca_certs=str(self.tls[0]))
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, str(self.data), address, *map(str, self.tls)],
                env=os.environ | self.environment | environment,
                stdout=log,
                stderr=log,
            )
        if wait:
            assert self.ready(), self.log()
        return self

    def ready(self, seconds: float = 30.0) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.alive():
            try:
                if self.pool.request("GET", f"{self.url}/readyz", retries=False, timeout=5).status == 200:
                    return True
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
        return False

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; return the exit status."""
        assert self.process is not None
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def token(self, role: str) -> str:
        return (self.data / f"{role}.token").read_text().strip()

    def post(self, body: bytes, token: str | None = None) -> urllib3.BaseHTTPResponse:
        return self.pool.request(
            "POST",
            f"{self.url}/v1/batches",
            body=body,
            headers={"Authorization": f"Bearer {token or self.token('agent')}"},
            retries=False,
            timeout=60,
        )

    def stored(self, spool: str) -> dict[str, int]:
        response = self.pool.request(
            "GET",
            f"{self.url}/v1/spools/{spool}",
            headers={"Authorization": f"Bearer {self.token('agent')}"},
            retries=False,
        )
        assert response.status == 200, response.data
        return orjson.loads(response.data)["stored"]

    def get(self, path: str, **parameters: str) -> urllib3.BaseHTTPResponse:
        return self.pool.request(
            "GET",
            f"{self.url}{path}",
            fields=parameters,
            headers={"Authorization": f"Bearer {self.token('admin')}"},
            retries=False,
            timeout=60,
        )

    def records(self, table: str, **parameters: str) -> list[dict[str, Any]]:
        response = self.get(f"/api/v1/{table}", **parameters)
        assert response.status == 200, response.data
        return [orjson.loads(text) for text in response.data.splitlines() if text]

    def json(self, path: str, **parameters: str) -> Any:
        response = self.get(path, **parameters)
        assert response.status == 200, response.data
        return orjson.loads(response.data)
