"""Records as an agent sends them, for the pages to show: a workload, an attack on it, a gap."""

# ruff: noqa: E501  # rows of test data read best on one line
from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
import urllib3
import zstandard

from keelwatch.kit.clock import day, iso
from keelwatch.model.batch import BatchHeader, encode_frame
from keelwatch.model.identity import Identity
from keelwatch.model.logchunk import encode_chunk

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
PAYLOAD = hashlib.sha256(b"payload").hexdigest()
MESSAGES = (
    "GET /healthz 200 0.4ms",
    "POST /v1/orders 201 18.2ms order={n} items=3 total=41.90",
    "charge accepted provider=acme ref=ch_{n}",
    "cache refresh took 212ms keys={n}",
    "retrying upstream inventory (attempt 2) order={n}",
    "ERROR inventory timeout after 2000ms order={n}",
)


def container_id(name: str) -> str:
    """A container id that belongs to the name."""
    return hashlib.sha256(name.encode()).hexdigest()


def instance(
    pod: str, namespace: str = "shop", workload: str = "checkout", kind: str = "Deployment"
) -> Identity:
    """The identity of one instance."""
    return Identity(
        cluster="prod", node="node-1", namespace=namespace, pod=pod, pod_uid=f"uid-{pod}", container="app",
        container_id=container_id(pod), image=f"docker.io/{namespace}/{workload}:2.4.1",
        image_digest="sha256:" + hashlib.sha256(workload.encode()).hexdigest(), workload_kind=kind, workload=workload, revision="6c9f7d5b4",
        team="payments", identity_source="pod=cri workload=inferred",
    )  # fmt: skip


def process(pid: int, name: str, cmdline: str, exe: str, container: str = "") -> dict[str, Any]:
    """A process as records show it."""
    return {"pid": pid, "name": name, "exe": exe, "cmdline": cmdline, "cwd": "/", "uid": 0, "gid": 0,
            "loginuid": -1, "tty": 0, "container_id": container}  # fmt: skip


def alert(identity: Identity, at: int, number: int, **changes: Any) -> dict[str, Any]:
    """A drift alert with its story."""
    inside = identity.container_id
    ancestors = [
        process(4302, "sh", "sh", "/bin/sh", inside),
        process(4120, "checkout", "/app/checkout --listen :8080", "/app/checkout", inside),
        process(3980, "containerd-shim", "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io", "/usr/bin/containerd-shim-runc-v2"),
        process(1, "systemd", "/sbin/init", "/usr/lib/systemd/systemd"),
    ]  # fmt: skip
    self = process(4415, "kdevtmpfsi", "/tmp/kdevtmpfsi --connect 10.0.0.9:4444", "/tmp/kdevtmpfsi", inside)
    writer = process(4411, "cat", "cat", "/bin/cat", inside) | {
        "time": iso(at - 900_000_000), "path": "/tmp/kdevtmpfsi", "how": "created"
    }  # fmt: skip
    chmod = process(4413, "chmod", "chmod +x /tmp/kdevtmpfsi", "/bin/chmod", inside) | {
        "time": iso(at - 400_000_000), "path": "/tmp/kdevtmpfsi", "how": "chmod"
    }  # fmt: skip
    story = {
        "sentence": f"cat (pid 4411, uid 0) wrote /tmp/kdevtmpfsi at {iso(at - 900_000_000)[11:23]} through a redirection of sh; "
        "chmod (pid 4413) made it executable half a second later; sh (pid 4302) ran it. The image has no such file.",
        "path": "/tmp/kdevtmpfsi", "writer": writer, "writer_ancestors": ancestors, "chmod": chmod,
        "executor": ancestors[0] | {"time": iso(at), "path": "/tmp/kdevtmpfsi", "how": "exec"}, "content": "new",
    }  # fmt: skip
    row: dict[str, Any] = {
        **identity.columns(), "time": at, "id": f"01JDCNX4T9Y4V0{number:012d}",
        "rule": "New binary executed in a container", "priority": "CRITICAL",
        "tags": ["container", "mitre_execution", "T1204.002", "pci_11.5.2"],
        "output": f"New binary executed | file=/tmp/kdevtmpfsi command=/tmp/kdevtmpfsi --connect 10.0.0.9:4444 pod={identity.pod}",
        "source": "syscall", "count": 1, "kind": "exec", "type": "execve", "result": 0, "phase": "run",
        "pid": 4415, "ppid": 4302, "uid": 0, "gid": 0, "loginuid": -1, "tty": 0, "comm": "kdevtmpfsi",
        "exe": "/tmp/kdevtmpfsi", "cmdline": self["cmdline"], "cwd": "/", "process": orjson.dumps(self).decode(),
        "ancestors": orjson.dumps(ancestors).decode(), "path": "/tmp/kdevtmpfsi", "path_source": "kernel",
        "old_path": "", "old_path_source": "", "flags": 0, "mode": 0o100755, "inode": 33, "device": 51,
        "size": 918_272, "upper": 1, "memfd": 0, "created": 0, "truncated": 0, "sha256": PAYLOAD, "drift": "new",
        "file_namespace": "", "file_pod": "", "file_container": "", "file_container_id": "", "file_workload": "",
        "story": orjson.dumps(story).decode(), "detail": "",
    }  # fmt: skip
    return row | changes


def lifecycle(identity: Identity, at: int, kind: str) -> dict[str, Any]:
    """A container came or went."""
    return {
        **identity.columns(),
        "time": at,
        "kind": kind,
        "labels": {"app": identity.workload},
        "detail": "",
    }


def gap(identity: Identity, at: int) -> dict[str, Any]:
    """The agent was not running for six minutes."""
    return {**identity.columns(), "time": at, "what": "all", "cause": "agent_down", "from_time": at - 6 * MINUTE,
            "to_time": at, "amount": 1, "unit": "intervals", "detail": ""}  # fmt: skip


@dataclass
class Sender:
    """An agent's end of the wire, reduced to what the tests need."""

    hub: str
    token: str
    spool: str = "browser-0001"
    seqs: dict[str, int] = field(default_factory=dict)
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    def rows(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Send rows; each day is a batch of its own."""
        for when in sorted({day(row["time"]) for row in rows}):
            chosen = [row for row in rows if day(row["time"]) == when]
            self._send(table, when, len(chosen), "rows", b"\n".join(map(orjson.dumps, chosen)) + b"\n")

    def lines(self, identity: Identity, lines: list[tuple[int, str, str]]) -> None:
        """Send log lines (time, stream, message) of one container."""
        for when in sorted({day(at) for at, _, _ in lines}):
            chosen = [line for line in lines if day(line[0]) == when]
            text = "".join(f"{iso(at)} {stream} F {message}\n" for at, stream, message in chosen)
            self._send(
                "logs", when, len(chosen), "chunks", encode_chunk("cri", 0, 0, identity, text.encode())
            )

    def _send(self, table: str, when: str, count: int, form: str, raw: bytes) -> None:
        seq = self.seqs[table] = self.seqs.get(table, 0) + 1
        header = BatchHeader(self.spool, table, seq, when, count, form, len(raw), node="node-1")
        answer = self.pool.request(
            "POST",
            f"{self.hub}/v1/batches",
            body=encode_frame(header, zstandard.compress(raw)),
            headers={"Authorization": f"Bearer {self.token}"},
        )
        assert answer.status == 200, answer.data


def attack(sender: Sender) -> list[Identity]:
    """Fill a hub: three instances of shop/checkout (one gone), other workloads, alerts, a gap."""
    now = time.time_ns()
    pods = [instance(f"checkout-6c9f7d5b4-{end}") for end in ("x2x7p", "k8wzq", "m4nfd")]
    others = [
        instance("orders-db-0", workload="orders-db", kind="StatefulSet"),
        instance("node-exporter-p2v9d", "monitoring", "node-exporter", "DaemonSet"),
        instance("nightly-report-29381-tq8fd", "batch", "nightly-report", "CronJob"),
    ]
    for number, one in enumerate([*pods, *others]):
        rows = [lifecycle(one, now - 50 * MINUTE + number * SECOND, "container_started")]
        if one in (pods[1], others[2]):
            rows.append(lifecycle(one, now - 2 * MINUTE, "container_ended"))
        sender.rows("lifecycle", rows)
        steps = range(0, 3000, 5 + 4 * number)
        texts = [
            (now - 3000 * SECOND + s * SECOND, MESSAGES[(s * 7 + number * 3) % 23 % 6].format(n=8000 + s))
            for s in steps
        ]
        sender.lines(one, [(at, "stderr" if "ERROR" in text else "stdout", text) for at, text in texts])
    sender.rows("alerts", _alerts(pods, others, now))
    sender.rows("gaps", [gap(Identity(cluster="prod", node="node-1"), now - 31 * MINUTE)])
    return pods


def _alerts(pods: list[Identity], others: list[Identity], now: int) -> list[dict[str, Any]]:
    overwritten = {"rule": "Image file overwritten", "priority": "ERROR", "kind": "open", "type": "openat",
                   "path": "/app/checkout", "drift": "changed", "story": "",
                   "output": "Image file overwritten | file=/app/checkout command=sh -c cat /tmp/x > /app/checkout"}  # fmt: skip
    account = {"rule": "Account file changed", "priority": "CRITICAL", "kind": "open", "type": "openat",
               "path": "/etc/passwd", "drift": "changed", "story": "",
               "output": "Account file changed | file=/etc/passwd command=sh -c echo … >> /etc/passwd"}  # fmt: skip
    entered = {"rule": "Entered another namespace", "priority": "WARNING", "kind": "setns", "type": "setns",
               "path": "", "drift": "", "story": "", "sha256": "",
               "output": "Entered another namespace | namespaces=mnt,pid command=nsenter -t 1 -m -p sh"}  # fmt: skip
    package = {"rule": "Package manager ran", "priority": "NOTICE", "story": "", "path": "/usr/bin/apt-get",
               "output": "Package manager ran | command=apt-get install -y curl"}  # fmt: skip
    found = [
        alert(pods[1], now - 4 * MINUTE, 1),
        alert(pods[0], now - 3 * MINUTE, 2, count=2),
        alert(pods[1], now - 4 * MINUTE + 8 * SECOND, 3, **overwritten),
        alert(pods[1], now - 4 * MINUTE + 15 * SECOND, 4, **account),
        alert(pods[1], now - 4 * MINUTE + 21 * SECOND, 5, **entered),
        alert(others[0], now - 19 * MINUTE, 6, **package),
        alert(others[2], now - 27 * MINUTE, 7, **package),
        alert(pods[2], now - 41 * MINUTE, 8, **entered),
    ]
    return sorted(found, key=lambda row: row["time"])
