"""Requests and processes for tests, from few words. Times are seconds; 0 is T0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keelwatch.access.entry import Entry
from keelwatch.access.request import EXEC, Request
from keelwatch.audit.identity import identity_of, nobody
from keelwatch.audit.parse import parse_lines
from keelwatch.audit.records import audit_row

GOLDEN = Path(__file__).parents[2] / "golden" / "access" / "audit.jsonl"
T0 = 1_800_000_000_000_000_000
NS = 1_000_000_000


def at(seconds: float) -> int:
    return T0 + round(seconds * NS)


def golden_rows() -> list[dict[str, Any]]:
    """Rows of the table `audit`, of requests that a real API server recorded."""
    parsed = parse_lines(GOLDEN.read_bytes(), GOLDEN.name, 0)
    assert not parsed.mistakes
    for event in parsed.events:
        event.identity = identity_of(event, "lab", nobody)
    return [audit_row(event, 0) for event in parsed.events]


def exec_request(user: str, begin: float, end: float = 0, command: str = "sh", **more: Any) -> Request:
    made = {
        "id": f"{user}@{begin}",
        "audit_id": f"{user}@{begin}",
        "kind": EXEC,
        "cluster": "",
        "namespace": "shop",
        "pod": "pod",
        "received": at(begin),
        "ended": at(end) if end else 0,
        "code": 101,
        "user": user,
        "container": "app",
        "argv": tuple(command.split(" ")),
    }
    return Request(**(made | more))


def entry(pid: int, began: float, cmdline: str = "sh", **more: Any) -> Entry:
    made = {
        "container_id": "c1",
        "pid": pid,
        "start": pid * 1000,
        "time": at(began) if began else 0,
        "cmdline": cmdline,
        "container": "app",
        "node": "n1",
        "identity": {"container": "app", "container_id": "c1", "node": "n1", "seen": at(began)},
    }
    return Entry(**(made | more))
