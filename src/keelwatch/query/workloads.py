"""Workloads with their instances, living and dead, from what was recorded about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from keelwatch.query.filter import Filter, conditions
from keelwatch.query.late import FIELDS, Late
from keelwatch.query.records import SHAPES, Query
from keelwatch.store.escape import Value

_SOURCES = ("lifecycle", "logs", "events", "alerts")
_OWNER = ("cluster", "namespace", "workload_kind", "workload")
_NAMED = (*_OWNER, "team", "revision", "pod", "container", "image", "node")
_STARTED = "container_started"
_ENDED = "container_ended"
_STATES = {_STARTED: "running", _ENDED: "ended"}


def workloads_query(wanted: Filter, now: int) -> Query:
    """One row for each container and table that knows it."""
    parts = []
    parameters: dict[str, Value] = {}
    for table in _SOURCES:
        # Started long ago and silent since is still running: `since` does not bound the lifecycle.
        asked = replace(wanted, since="", until="") if table == "lifecycle" else wanted
        found = conditions(asked, now, SHAPES[table].searched, has_file=False, parameters=parameters)
        parts.append(_part(table, found.sql))
    return Query(" UNION ALL ".join(parts), parameters)


def _part(table: str, where: str) -> str:
    is_lifecycle = table == "lifecycle"
    # An identity becomes better known with time, so the lifecycle's last word counts.
    named = ", ".join(f"{_last(name) if is_lifecycle else f'any({name})'} AS {name}_" for name in _NAMED)
    state = f"argMaxIf(kind, time, kind IN ('{_STARTED}', '{_ENDED}'))" if is_lifecycle else "''"
    return (
        f"SELECT '{table}' AS source, container_id, {named}, toString(min(time)) AS first_seen, "
        f"toString(max(time)) AS last_seen, count() AS records, {state} AS state "
        f"FROM {table} WHERE container_id != '' AND {where} GROUP BY container_id"
    )


def _last(column: str) -> str:
    return f"argMax({column}, time)"


def workloads(rows: Iterable[Mapping[str, Any]], late: Late = ()) -> list[dict[str, Any]]:
    """Group containers by their workload, the latest seen first."""
    completed = {one.container_id: one for one in late}
    instances: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: _SOURCES.index(row["source"])):
        _add(instances.setdefault(row["container_id"], _new_instance(row)), row)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for instance in instances.values():
        if told := completed.get(instance["container_id"]):
            instance |= {name: getattr(told, name) for name in FIELDS}
        key = tuple(instance[name] for name in _OWNER)
        workload = found.setdefault(key, _new_workload(instance))
        _join(workload, instance)
    return sorted(found.values(), key=lambda workload: str(workload["last_seen"]), reverse=True)


def _new_instance(row: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: row[f"{name}_"] for name in _NAMED}
    seen = {"first_seen": _iso(row["first_seen"]), "last_seen": _iso(row["last_seen"])}
    counts = {"logs": 0, "events": 0, "alerts": 0}
    return {**named, "container_id": row["container_id"], **seen, "state": "unknown", **counts}


def _add(instance: dict[str, Any], row: Mapping[str, Any]) -> None:
    instance["first_seen"] = min(instance["first_seen"], _iso(row["first_seen"]))
    instance["last_seen"] = max(instance["last_seen"], _iso(row["last_seen"]))
    if row["source"] == "lifecycle":
        instance["state"] = _STATES.get(row["state"], instance["state"])
    else:
        instance[row["source"]] = int(row["records"])


def _new_workload(instance: Mapping[str, Any]) -> dict[str, Any]:
    owner = {name: instance[name] for name in (*_OWNER, "team")}
    return {**owner, "instances": [], "logs": 0, "events": 0, "alerts": 0, "last_seen": ""}


def _join(workload: dict[str, Any], instance: Mapping[str, Any]) -> None:
    names = (
        "pod",
        "container",
        "container_id",
        "revision",
        "image",
        "node",
        "first_seen",
        "last_seen",
        "state",
    )
    counts = {name: instance[name] for name in ("logs", "events", "alerts")}
    if instance["container"] or not instance["pod"]:  # a pod's sandbox is no instance of its containers
        workload["instances"].append({name: instance[name] for name in names} | counts)
    workload["instances"].sort(key=lambda item: item["first_seen"])
    for name, count in counts.items():
        workload[name] += count
    workload["last_seen"] = max(workload["last_seen"], instance["last_seen"])


def _iso(text: str) -> str:
    """The engine's `YYYY-MM-DD hh:mm:ss.nnnnnnnnn` (UTC) as RFC 3339."""
    return text if text.endswith("Z") else f"{text.replace(' ', 'T', 1)}Z"
