"""What a lifecycle record says beside the identity: from it the hub reckons what was observed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keelwatch import __version__
from keelwatch.capture.logs.rotation import listing
from keelwatch.enrich import procfs
from keelwatch.enrich.catalog import Container
from keelwatch.kit import clock

NO_LOG = "none"


def container_detail(at: Container, kind: str) -> dict[str, Any]:
    """`taken_up` is when this agent began to follow the container (nanoseconds since the epoch).

    `log` is its log's format, or "none" where the runtime keeps it in no file that can be read.
    """
    details = at.details
    if details is None:
        return {"taken_up": clock.now()} if kind == "container_started" else {}
    found: dict[str, Any] = {"kind": details.kind, "runtime": details.runtime}
    if details.runtime_handler:
        found["runtime_handler"] = details.runtime_handler
    if kind != "container_ended":
        found |= _entry(at.id, details.pid)
    if kind == "container_started":
        found |= {"taken_up": clock.now(), "log_files": _log_files(details.log_path)}
    if details.complete:
        found["log"] = details.log_format or NO_LOG
    return found


def agent_detail(*, sensor: bool, logs: bool) -> dict[str, Any]:
    """What of a node this agent observes."""
    return {"version": __version__, "sensor": _switch(sensor), "logs": _switch(logs)}


def _entry(container_id: str, pid: int) -> dict[str, Any]:
    """By which process the container was entered first: its own, to which an attach leads."""
    process = procfs.read_process(pid) if pid else None
    if process is None or process.container_id != container_id:
        return {}
    return {"entry": {"pid": process.pid, "start": process.start}}


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _log_files(path: str) -> int:
    """How many files the log has: behind a rotation older ones may be gone already."""
    try:
        return len(listing(Path(path))) if path else 0
    except OSError:
        return 0
