"""Rows of the tables that `keelwatch coverage` prints."""

from __future__ import annotations

import math
from typing import Any

from keelwatch.cli.output import Record
from keelwatch.kit.text import age, duration, short_time

MOST = 30
_KINDS = ("events", "logs")


def percent_text(percent: float | None) -> str:
    """`99.994 %`, rounded down: only all is 100; "open" where nothing is known yet."""
    if percent is None:
        return "open"
    return f"{math.floor(percent * 1000) / 1000:g} %"


def total_line(report: Record) -> str:
    """Everything in one line."""
    total = report["total"]
    if not total["containers"]:
        return "No container in this scope and time is known."
    parts = [f"{kind} {percent_text(total[kind]['percent'])}" for kind in _KINDS]
    waiting = max(total[kind]["open"] for kind in _KINDS)
    later = f"; {waiting:g} s are not known yet" if waiting else ""
    return (
        f"Total: {', '.join(parts)} of {total['containers']} containers, {total['complete']} complete{later}."
    )


def missing_rows(report: Record) -> list[list[Any]]:
    """The longest missing stretches; one that ends with the time asked about may go on."""
    return [_stretch(part, report["causes"]) for part in report["missing"][:MOST]]


def _stretch(part: Record, causes: dict[str, str]) -> list[Any]:
    times = [short_time(part[name]) for name in ("from", "to")]
    length = duration(int(part["seconds"])) if part["seconds"] >= 1 else f"{part['seconds']:g} s"
    workload = "/".join(name for name in (part["namespace"], part["workload"]) if name)
    name = part["container"] or part["container_id"][:12]
    cause = causes.get(part["cause"], part["cause"])
    return [*times, part["what"], length, workload, name, part["node"], cause]


def node_rows(report: Record) -> list[list[Any]]:
    """Nodes that nobody watches now."""
    return [
        [one["cluster"], one["node"], one["system"], report["causes"].get(one["state"], one["state"]),
         age(one["last"]) if one["last"] else "never"]
        for one in report["nodes"]
        if one["state"] != "watched"
    ][:MOST]  # fmt: skip


def away_rows(report: Record) -> list[list[Any]]:
    """When the hub was away for everybody, and for single nodes whose agents ran."""
    hub = [("the hub was not running", "all", one) for one in report["hub_down"]]
    ways = [("cut off from the hub", one["node"], one) for one in report["cut_off"]]
    rows = [[short_time(one["from"]), short_time(one["to"]), node, what] for what, node, one in [*hub, *ways]]
    return sorted(rows)[-MOST:]


def canary_rows(report: Record) -> list[list[Any]]:
    """One row for each canary."""
    return [
        [one["cluster"], one["node"], one["pod"], "running" if one["running"] else "ended",
         age(one["last"]) if one["last"] else "not heard", one["due"], one["logs"]["arrived"],
         one["events"]["arrived"], one["logs"]["missing_count"] + one["events"]["missing_count"]]
        for one in report["canaries"]
    ]  # fmt: skip
