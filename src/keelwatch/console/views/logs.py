"""The logs page and its live tail, and any record as a line between log lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keelwatch.console.views.reader import Filters, Reader, Record
from keelwatch.kit.text import ending, gap_text, lifecycle_text, parse_time, request_text, session_text

MOST_LINES = 500
MOST_INSTANCES = 24


def logs_page(reader: Reader, filters: Filters) -> dict[str, Any]:
    """The newest lines that match, oldest first, and how many there are over time."""
    lines = timeline_lines(reader.rows("logs", filters, MOST_LINES))
    counts = reader.histogram(filters, 120)
    return {
        "lines": lines,
        "cut": len(lines) == MOST_LINES,
        "instances": instances_of(lines),
        "total": sum(counts["counts"]),
        "series": chart_of(counts),
        "needle": filters.get("grep", ""),
        "live": False,
    }


def live_page(reader: Reader, filters: Filters) -> dict[str, Any]:
    """The last lines, and the address at which the page asks for what comes next."""
    _, cursor = reader.new_lines(filters, "")
    lines = timeline_lines(reader.rows("logs", filters, MOST_LINES))
    return {
        "lines": lines,
        "cut": False,
        "instances": instances_of(lines),
        "series": None,
        "needle": filters.get("grep", ""),
        "live": True,
        "poll": dict(filters) | {"cursor": cursor},
    }


def more_lines(reader: Reader, filters: Filters, cursor: str) -> dict[str, Any]:
    """What came since the cursor."""
    lines, cursor = reader.new_lines(filters, cursor)
    return {
        "lines": timeline_lines(lines),
        "needle": filters.get("grep", ""),
        "poll": dict(filters) | {"cursor": cursor},
    }


def instances_of(lines: list[Record]) -> list[Record]:
    """One line of each instance, in the order of their first lines, at most MOST_INSTANCES."""
    found: dict[str, Record] = {}
    for line in lines:
        found.setdefault(line["container_id"], line)
    return list(found.values())[:MOST_INSTANCES]


def chart_of(counts: Record) -> Record | None:
    """The chart's data: stderr below, the rest above; `None` where there is nothing to show."""
    start = parse_time(counts["from"])
    if start is None or not any(counts["counts"]):
        return None
    rest = [every - errors for every, errors in zip(counts["counts"], counts["stderr"], strict=True)]
    series = [{"label": "stderr", "colour": "--error", "values": counts["stderr"]},
              {"label": "stdout", "colour": "--accent", "values": rest}]  # fmt: skip
    return {"from": start.timestamp(), "step": counts["step"], "series": series}


def timeline_lines(records: list[Record]) -> list[Record]:
    """Records of any table as lines: `message` is what to show, `href` where it leads."""
    return [_line(record) for record in records]


def _line(record: Record) -> Record:
    kind = record.get("record", "log")
    base = {"record": kind, "stream": "", "marked": False, "href": ""}
    if kind == "alert":
        rule, output = str(record["rule"]), str(record["output"])
        told = output if output.startswith(rule) else f"{rule}: {output}"
        text = f"{str(record['priority']).lower()}: {told}"
        return base | record | {"message": text, "marked": True, "href": f"/alerts/{record['id']}"}
    if kind == "access":
        return base | record | {"message": session_text(record), "href": f"/access/{record['id']}"}
    if kind in _TEXTS:
        return base | record | {"message": _TEXTS[kind](record)}
    return base | record


def event_text(event: Record) -> str:
    """`exec /bin/sh by sh[17] sh -c id`, with `→` between two paths and a failure's errno."""
    process = event.get("process") or {}
    paths = " → ".join(str(event[name]) for name in ("old_path", "path") if event.get(name)) or ending(event)
    result = event.get("result") or 0
    failed = f" failed ({result})" if result < 0 else ""
    who = f"{process.get('name', '?')}[{process.get('pid', '?')}] {process.get('cmdline', '')}"
    return f"{event.get('kind', '')} {paths}{failed} by {who}".rstrip()


_TEXTS: Mapping[str, Callable[[Record], str]] = {
    "event": event_text,
    "gap": gap_text,
    "lifecycle": lifecycle_text,
    "audit": request_text,
}
"""What a record that is no line of a log says in one."""
