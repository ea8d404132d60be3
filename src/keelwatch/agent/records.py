"""Events, alerts and lifecycle changes as rows of the store's tables (docs/reference/records.md)."""

from __future__ import annotations

from typing import Any

import orjson

from keelwatch.model.event import Alert, Event
from keelwatch.model.identity import Identity

Row = dict[str, Any]
MAX_U32 = 0xFFFFFFFF


def event_row(event: Event) -> Row:
    """One row of `events`."""
    return {
        **event.identity.columns(),
        "time": event.time,
        "kind": event.kind,
        "type": event.type,
        "result": event.result,
        "phase": event.phase,
        **_process_columns(event),
        **_file_columns(event),
        "detail": _json(_detail(event)),
    }


def alert_row(alert: Alert) -> Row:
    """One row of `alerts`."""
    story = alert.event.story
    return {
        **event_row(alert.event),
        "id": alert.id,
        "rule": alert.rule,
        "priority": alert.priority,
        "tags": list(alert.tags),
        "output": alert.output,
        "source": "syscall",
        "count": alert.count,
        "story": _json(story.columns()) if story is not None else "",
    }


def lifecycle_row(time: int, kind: str, identity: Identity, labels: dict[str, str], detail: Row) -> Row:
    """One row of `lifecycle`."""
    return {**identity.columns(), "time": time, "kind": kind, "labels": labels, "detail": _json(detail)}


def _process_columns(event: Event) -> Row:
    process = event.process
    return {
        "pid": process.pid,
        "ppid": process.ppid,
        "uid": process.uid,
        "gid": process.gid,
        "loginuid": process.loginuid,
        "tty": process.tty & MAX_U32,
        "comm": process.comm,
        "exe": process.exe,
        "cmdline": process.cmdline,
        "cwd": process.cwd,
        "entry_pid": process.entry_pid,
        "entry_start": process.entry_start,
        "process": _json(process.summary()),
        "ancestors": _json([ancestor.summary() for ancestor in process.lineage()]),
    }


def _file_columns(event: Event) -> Row:
    """For a script the file is the script: `exe` has the interpreter, whose inode says nothing here."""
    owner = event.file_identity or Identity()
    script = event.process.script if event.kind == "exec" else ""
    return {
        "path": script or event.path,
        "path_source": "user" if script else event.path_source,
        "old_path": event.old_path,
        "old_path_source": event.old_path_source,
        "flags": event.flags,
        "mode": 0 if script else event.mode,
        "inode": 0 if script else event.inode,
        "device": 0 if script else event.device,
        "size": event.size,
        "upper": int(event.upper and not script),
        "memfd": int(event.memfd),
        "created": int(event.created),
        "truncated": int(event.truncated),
        "sha256": event.sha256,
        "drift": event.drift,
        "file_namespace": owner.namespace,
        "file_pod": owner.pod,
        "file_container": owner.container,
        "file_container_id": owner.container_id,
        "file_workload": owner.workload,
    }


def _detail(event: Event) -> Row:
    """What only some kinds have; absent where it says nothing."""
    found = {
        "script": event.process.script if event.kind == "exec" else "",
        "environment": event.process.environment if event.kind == "exec" else {},
        "capabilities": event.process.capabilities if event.kind == "exec" else 0,
        "source": event.source,
        "filesystem": event.filesystem,
        "name": event.name,
        "request": event.request,
        "left_out": event.left_out,
        "target": event.target.summary() if event.target is not None else None,
    }
    return {name: value for name, value in found.items() if value} | _status(event.exit_code)


def _status(code: int | None) -> Row:
    """How a process ended (wait(2)): its status, or the signal that killed it."""
    if code is None:
        return {}
    return {"signal": code & 0x7F} if code & 0x7F else {"status": code >> 8 & 0xFF}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
