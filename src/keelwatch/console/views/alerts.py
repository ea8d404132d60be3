"""The alerts page, and one alert with everything around it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from keelwatch.console.views.format import workload_name
from keelwatch.console.views.logs import timeline_lines
from keelwatch.console.views.reader import Filters, Reader, Record
from keelwatch.kit.text import parse_time

PRIORITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
URGENT = frozenset(PRIORITIES[:3])
COLOURS = {"emergency": "--critical", "alert": "--critical", "critical": "--critical", "error": "--error",
           "warning": "--warning", "notice": "--notice"}  # fmt: skip
MOST_ALERTS = 200
LINES_EACH_SIDE = 40
AROUND = timedelta(minutes=1)
PLACES = (
    ("upper", "in the overlay's upper layer"),
    ("memfd", "only in memory (memfd)"),
    ("created", "made by this call"),
    ("truncated", "the path is cut off"),
)


def alerts_page(reader: Reader, filters: Filters) -> dict[str, Any]:
    """The newest alerts that match, newest first, and how many there are over time."""
    counts = reader.alert_counts(filters, 96)
    by_priority = totals(counts)
    alerts = reader.rows("alerts", filters, MOST_ALERTS)[::-1]
    total = sum(count for _, count in by_priority)
    return {
        "alerts": alerts,
        "by_priority": by_priority,
        "total": total,
        "series": chart_of(counts),
        "cut": len(alerts) == MOST_ALERTS,
        "priorities": PRIORITIES,
    }


def totals(counts: Record) -> list[tuple[str, int]]:
    """(priority, count), the most urgent first, without empty ones."""
    found = [(level, sum(values)) for level, values in counts["counts"].items()]
    return sorted((one for one in found if one[1]), key=lambda one: _rank(one[0]))


def _rank(level: str) -> int:
    return PRIORITIES.index(level) if level in PRIORITIES else len(PRIORITIES)


def chart_of(counts: Record) -> Record:
    """The chart's data: one series per colour, the most urgent at the bottom."""
    series: dict[str, list[int]] = {}
    for level, _ in totals(counts):
        colour = COLOURS.get(level, "--quiet")
        values = counts["counts"][level]
        series[colour] = [a + b for a, b in zip(series.get(colour, [0] * len(values)), values, strict=True)]
    start = parse_time(counts["from"])
    return {
        "from": start.timestamp() if start else 0,
        "step": counts["step"],
        "series": [
            {"label": colour[2:], "colour": colour, "values": values} for colour, values in series.items()
        ],
    }


def alert_page(reader: Reader, alert: Record) -> dict[str, Any]:
    """One alert, its process tree, the log around it and the workload's other instances."""
    about = concerned(alert)
    around = around_filters(about)
    lines, cut = log_around(reader, about, around)
    story = alert.get("story") or {}
    writer = story.get("writer")
    return {
        "alert": alert,
        "chain": [*reversed(alert.get("ancestors") or []), alert.get("process") or {}],
        "writer_chain": [*reversed(story.get("writer_ancestors") or []), writer] if writer else [],
        "places": [text for name, text in PLACES if alert.get(name)],
        "lines": lines,
        "cut": cut,
        "each_side": LINES_EACH_SIDE,
        "around_query": urlencode(around),
        "others": other_instances(reader, about),
        "about": about,
        "needle": "",
        "boxed": True,
    }


def concerned(alert: Record) -> Record:
    """Whose log and instances to show: who acted, or, if that was the host, whose file it was."""
    if alert.get("container_id") or not alert.get("file_container_id"):
        return alert
    names = ("namespace", "workload", "pod", "container", "container_id")
    return alert | {name: alert.get(f"file_{name}", "") for name in names} | {"workload_kind": ""}


def workload_filters(record: Record) -> dict[str, str]:
    """The filters that select a record's workload; its container where it has none."""
    if not record.get("workload"):
        chosen = {"container_id": record.get("container_id") or "-"}
    else:
        chosen = {"namespace": record.get("namespace", ""), "workload": workload_name(record)}
    return {name: value for name, value in (chosen | {"cluster": record.get("cluster", "")}).items() if value}


def around_filters(alert: Record) -> dict[str, str]:
    """The workload, from a minute before the alert to a minute after it."""
    moment = parse_time(alert["time"])
    if moment is None:
        return workload_filters(alert)
    ends = {"since": moment - AROUND, "until": moment + AROUND}
    return workload_filters(alert) | {name: f"{end:%Y-%m-%dT%H:%M:%S.%fZ}" for name, end in ends.items()}


def log_around(reader: Reader, alert: Record, around: Filters) -> tuple[list[Record], bool]:
    """The log lines nearest to the alert, with the alert in its place, and whether there are more."""
    if not alert.get("container_id") or "since" not in around:
        return [], False
    before = reader.rows("logs", {**around, "until": alert["time"]}, LINES_EACH_SIDE + 1)
    after = reader.first_rows("logs", {**around, "since": alert["time"]}, LINES_EACH_SIDE + 1)
    cut = max(len(before), len(after)) > LINES_EACH_SIDE
    lines = before[-LINES_EACH_SIDE:] + after[:LINES_EACH_SIDE]
    if not lines:
        return [], False
    here = timeline_lines([alert | {"record": "alert", "output": alert["rule"]}])[0] | {"href": ""}
    return sorted([*timeline_lines(lines), here], key=lambda line: line["time"]), cut


def other_instances(reader: Reader, alert: Record) -> list[Record]:
    """The workload's other instances, each with the id of an equal alert it had, if it had one."""
    if not alert.get("workload"):
        return []
    chosen = workload_filters(alert)
    month = chosen | {"since": "30d"}
    same = {
        one["container_id"]: one["id"] for one in reader.rows("alerts", month | {"rule": alert["rule"]}, 1000)
    }
    instances = [one for workload in reader.workloads(month) for one in workload.get("instances") or []]
    others = [one | {"same": same.get(one["container_id"])} for one in instances]
    return [one for one in others if one["container_id"] != alert["container_id"]]
