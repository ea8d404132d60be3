"""The panel of a workload's page that tells what only some of its instances have."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from keelwatch.console.views.reader import FilterError, Filters, Reader, Record

CHOICES = (("line", "Log lines"), ("process", "Programs"), ("file", "Files"))
"""What the API compares by, and its name on the page."""
MOST = 25
_LONGEST_GREP = 200


def compare_panel(reader: Reader, filters: Filters, by: str) -> dict[str, Any]:
    """The rarest values first; `by` "" asks for nothing yet. What cannot be answered is told in `problem`."""
    panel: dict[str, Any] = {"choices": CHOICES, "by": by, "values": [], "problem": "", "more": False}
    if not by:
        return panel
    try:
        found = reader.compare(by, filters, MOST + 1)["values"]
    except FilterError as error:
        return panel | {"problem": str(error)}
    values = [_shown(one, filters, by) for one in found[:MOST]]
    return panel | {"values": values, "more": len(found) > MOST}


def _shown(one: Record, filters: Filters, by: str) -> Record:
    times = {name: filters[name] for name in ("since", "until") if filters.get(name)}
    rare = 1 == one["instances"] < one["of"]
    among = [
        pod | {"logs": _logs(times, container_id=pod["container_id"])}
        for pod in sorted(one["among"], key=lambda pod: (pod["pod"], pod["container_id"]))
    ]
    where = {name: filters[name] for name in ("cluster", "namespace", "workload") if filters.get(name)}
    lines = _logs(times, **where, grep=one["example"][:_LONGEST_GREP]) if by == "line" else ""
    return one | {"rare": rare, "among": among, "more": one["instances"] - len(among), "lines": lines}


def _logs(times: Filters, **chosen: str) -> str:
    return "/logs?" + urlencode({**times, **chosen}, errors="replace")
