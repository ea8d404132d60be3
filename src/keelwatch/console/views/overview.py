"""The overview: what fired, was anything unmonitored, what is watched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from keelwatch.console.views.alerts import URGENT, chart_of, totals
from keelwatch.console.views.reader import Filters, Reader, Record
from keelwatch.kit.text import parse_time

SILENT_AFTER = timedelta(minutes=5)
MOST_GAPS = 1000


def overview(reader: Reader, filters: Filters) -> dict[str, Any]:
    """Everything the overview shows, for the time range of `filters`."""
    counts = reader.alert_counts(filters, 72)
    by_priority = totals(counts)
    agents = [agent | {"silent": is_silent(agent)} for agent in reader.agents()]
    silent = [agent for agent in agents if agent["silent"]]
    gaps = reader.rows("gaps", filters, MOST_GAPS)
    workloads = by_urgency(reader.workloads(filters))
    return {
        "since": filters["since"],
        "by_priority": by_priority,
        "total": sum(count for _, count in by_priority),
        "urgent": sum(count for level, count in by_priority if level in URGENT),
        "series": chart_of(counts),
        "alerts": reader.rows("alerts", filters, 6)[::-1],
        "agents": agents,
        "silent": silent,
        "gaps": gaps,
        "unmonitored": bool(gaps or silent) or not agents,
        "workloads": workloads,
        "running": sum(one["running"] for one in workloads),
    }


def is_silent(agent: Record, now: datetime | None = None) -> bool:
    """Whether nothing has come from this agent for longer than an idle agent would let pass."""
    seen = parse_time(agent.get("last_seen") or "")
    return seen is None or (now or datetime.now(UTC)) - seen > SILENT_AFTER


def with_running(workload: Record) -> Record:
    """The workload with the number of its running instances."""
    instances = workload.get("instances") or []
    return workload | {"running": sum(1 for one in instances if one.get("state") == "running")}


def by_urgency(workloads: list[Record]) -> list[Record]:
    """Workloads with the most alerts first, then those seen last."""
    return sorted(
        map(with_running, workloads), key=lambda one: (one["alerts"], one["last_seen"] or ""), reverse=True
    )
