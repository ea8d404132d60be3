"""The coverage page: is monitoring in place everywhere, and where not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]
KINDS = ("events", "logs")
BY = ("workload", "namespace", "cluster", "team", "node", "container")
FILTERS = ("cluster", "node", "namespace", "workload", "team", "scope", "by", "since", "until")


def coverage_page(report: Record) -> Record:
    """What the template shows of a report (docs/reference/coverage.md)."""
    total = report["total"]
    return {
        "report": report,
        "facts": [_fact(kind, total) for kind in KINDS],
        "groups": [_row(group, report["by"]) for group in report["groups"]],
        "missing": report["missing"][:100],
        "unwatched": [node for node in report["nodes"] if node["state"] != "watched"][:100],
        "holes": [one for one in report["sequences"] if one["missing"]],
        "batches": sum(one["batches"] for one in report["sequences"]),
        "choices": BY,
        "away": _away(report),
    }


def _away(report: Record) -> list[Record]:
    """When the hub was not there: for all nodes (`node` is ""), or for one that was cut off from it."""
    hub = [{**one, "node": ""} for one in report["hub_down"]]
    return sorted((*hub, *report["cut_off"]), key=lambda one: str(one["from"]))[-100:]


def percent_text(percent: float | None) -> str:
    """Rounded down, so that 100 % means all of it."""
    return "not known yet" if percent is None else f"{math.floor(percent * 1000) / 1000:g} %"


def _fact(kind: str, total: Mapping[str, Any]) -> Record:
    sums = total[kind]
    percent = sums["percent"]
    return {
        "name": kind.capitalize(),
        "text": percent_text(percent) if total["containers"] else "no container",
        "state": "uneasy" if percent is None else "good" if percent == 100 else "bad",
        "missing": sum(sums["missing"].values()),
        "with_loss": sums["with_loss"],
        "open": sums["open"],
    }


def _row(group: Record, by: str) -> Record:
    causes: dict[str, float] = {}
    for kind in KINDS:
        for cause, seconds in group[kind]["missing"].items():
            causes[cause] = causes.get(cause, 0.0) + seconds
    return {
        **group,
        "name": name_of(group, by),
        "texts": {kind: percent_text(group[kind]["percent"]) for kind in KINDS},
        "loss": max(group[kind]["with_loss"] for kind in KINDS),
        "cause": max(causes, key=lambda cause: causes[cause], default=""),
    }


def name_of(group: Record, by: str) -> str:
    """A group's name as people say it."""
    names = {
        "cluster": ("cluster",),
        "namespace": ("cluster", "namespace"),
        "workload": ("namespace", "workload"),
        "team": ("team",),
        "node": ("cluster", "node"),
        "container": ("namespace", "pod", "container"),
    }[by]
    return "/".join(str(group[name]) for name in names if group[name]) or "(none)"
