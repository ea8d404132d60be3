"""The access page, and one access session with the tree of what was done in it."""

from __future__ import annotations

from typing import Any

from keelwatch.console.views.format import visible
from keelwatch.console.views.reader import Record
from keelwatch.kit.text import duration, parse_time

FILTERS: tuple[str, ...] = (
    "cluster", "node", "namespace", "workload", "pod", "container", "container_id", "team", "selector",
    "since", "until", "grep", "regex", "user", "kind", "confidence",
)  # fmt: skip
"""The filters of the address, named as in `GET /api/v1/access`."""
MOST = 500
DEEPEST = 20
"""Levels of a tree that are set off from each other; what lies deeper stands below the last one."""


def access_page(sessions: list[Record]) -> dict[str, Any]:
    """Sessions, newest first."""
    return {"sessions": [with_length(one) for one in reversed(sessions)], "cut": len(sessions) == MOST}


def session_page(session: Record) -> dict[str, Any]:
    """One session: its facts, its alerts, and the tree as rows with their depth."""
    return {
        "session": with_length(session),
        "rows": [row for root in session["tree"] for row in rows_of(root)],
        "alerts": session["alert_records"],
        "cut": session["cut"],
    }


def with_length(session: Record) -> Record:
    """The session and how long it lasted; "" while it is open. `left`: processes that outlive it."""
    begin, end = (parse_time(str(session.get(name) or "")) for name in ("time", "ended"))
    lasted = ""
    if begin and end:
        seconds = (end - begin).total_seconds()
        lasted = duration(int(seconds)) if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    return session | {"lasted": lasted, "left": session["running"] if lasted else 0}


def rows_of(root: Record) -> list[Record]:
    """A tree's processes in the order of reading. It may be deeper than Python's stack."""
    found: list[Record] = []
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        found.append(_row(node, depth))
        waiting += [(child, depth + 1) for child in reversed(node["children"])]
    return found


def _row(node: Record, depth: int) -> Record:
    first = node["images"][0] if node["images"] else node
    steps = [
        {"time": one["time"], "text": f"then ran {visible(one['cmdline'])}"} for one in node["images"][1:]
    ]
    steps += [_step(doing) for doing in node["doings"]]
    return {
        "depth": min(depth, DEEPEST),
        "time": first["time"],
        "command": first["cmdline"] or node["name"] or "(not seen)",
        "pid": node["pid"],
        "exe": first["exe"],
        "drift": first.get("drift", ""),
        "over": node.get("over", ""),
        "steps": sorted(steps, key=lambda step: str(step["time"])),
        "more": node["more"],
    }


def _step(doing: Record) -> Record:
    path = " → ".join(visible(one) for one in (doing["old_path"], doing["path"]) if one)
    return {
        "time": doing["time"],
        "kind": doing["kind"],
        "text": path,
        "drift": doing["drift"],
        "failed": doing["result"] if int(doing["result"]) < 0 else 0,
        "container": doing["file_container"],
    }
