"""The workloads page, and one workload with its instances and timeline."""

from __future__ import annotations

from typing import Any

from keelwatch.console.views.compare import compare_panel
from keelwatch.console.views.logs import timeline_lines
from keelwatch.console.views.overview import by_urgency, with_running
from keelwatch.console.views.reader import Filters, Reader

MOST_RECORDS = 400
STATES = ("running",)


def workloads_page(reader: Reader, filters: Filters) -> dict[str, Any]:
    """All workloads that match, those with alerts first."""
    return {"workloads": by_urgency(reader.workloads(filters))}


def workload_page(reader: Reader, filters: Filters, compare_by: str = "") -> dict[str, Any] | None:
    """One workload; `None` where there is none of that name. `compare_by`: line, process or file."""
    found = reader.workloads(filters)
    if not found:
        return None
    workload = with_running(found[0])
    workload["instances"] = sorted(
        workload.get("instances") or [],
        key=lambda one: (one.get("state") in STATES, one.get("last_seen") or ""),
        reverse=True,
    )
    return {
        "workload": workload,
        "alerts": reader.rows("alerts", filters, 8)[::-1],
        "lines": timeline_lines(reader.rows("timeline", dict(filters) | {"phase": "run"}, MOST_RECORDS)),
        "needle": "",
        "compare": compare_panel(reader, filters, compare_by),
    }
