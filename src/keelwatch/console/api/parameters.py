"""The API's query parameters, each table with those it has; unknown ones are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import Request

from keelwatch.console.auth import ApiError
from keelwatch.query import timeline
from keelwatch.query.filter import Filter, filter_of
from keelwatch.query.records import AUDIT_FILTERS, DEFAULT_TAIL, MAX_TAIL

_SHARED = (
    "cluster", "node", "namespace", "workload", "pod", "container", "container_id", "team", "selector",
    "since", "until", "grep", "regex",
)  # fmt: skip
DESCRIPTIONS = {
    "cluster": "cluster name",
    "node": "node name",
    "namespace": "namespace",
    "workload": "checkout or deployment/checkout; kubectl's short kinds too",
    "pod": "pod name",
    "container": "container name",
    "container_id": "container id, or its beginning",
    "team": "owning team",
    "selector": "label selector: app=checkout,tier!=cache,env in (a,b),!legacy",
    "since": "a duration back from now (10m, 2h30m, 1d) or RFC 3339",
    "until": "a duration back from now or RFC 3339; exclusive",
    "grep": "text that must occur, in upper and lower case as given",
    "regex": "RE2 regular expression that must match",
    "stream": "stdout or stderr",
    "kind": "kind of event or lifecycle record",
    "type": "system call",
    "phase": "setup (the runtime at work before the entrypoint) or run",
    "rule": "name of the rule",
    "priority": "least urgent priority, of Falco's",
    "id": "the alert's id",
    "what": "what was not observed",
    "cause": "why (docs/reference/gaps.md)",
    "user": "who sent the request to the API server",
    "verb": "what was asked for: get, create, delete …",
    "resource": "the request's resource, as pods",
    "subresource": "the request's subresource, as exec",
    "name": "name of the request's object",
    "audit_id": "the API server's id of the request",
    "confidence": "how sure a session's process is: certain, likely, ambiguous or none",
}
_CONTROLS = ("tail", "follow", "buckets", "by", "limit", "at_most")
MAX_LENGTH = 1024

Reader = Callable[[Request], Filter]


def filter_reader(*own: str) -> Reader:
    """Return a dependency that reads the shared parameters and `own` into a Filter."""
    allowed = (*_SHARED, *own)

    def read(request: Request) -> Filter:
        given = request.query_params
        unknown = sorted(set(given) - set(allowed) - set(_CONTROLS))
        if unknown:
            raise ApiError(
                400, "unknown_parameter", f"unknown parameter {unknown[0]!r}", f"known: {', '.join(allowed)}"
            )
        for name, value in given.items():
            if len(value) > MAX_LENGTH:
                raise ApiError(400, "too_long", f"{name} is longer than {MAX_LENGTH} characters")
        return filter_of({name: given[name] for name in allowed if name in given})

    return read


def read_tail(request: Request) -> int:
    """How many records are asked for; what is too many is for the question to say."""
    given = request.query_params.get("tail", str(DEFAULT_TAIL))
    if not re.fullmatch(r"[0-9]{1,9}", given, re.ASCII):
        raise ApiError(
            400, "bad_tail", f"tail: {given[:40]!r} is not a number of records", f"0 to {MAX_TAIL}"
        )
    return int(given)


def openapi(table: str, *, tail: bool = False) -> dict[str, Any]:
    """The parameters of a table for OpenAPI: the reader takes them from the request itself."""
    found: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": {"type": "string"}, "description": DESCRIPTIONS[name]}
        for name in (*_SHARED, *OWN[table])
    ]
    if tail:
        most = timeline.MAX_TAIL if table == "timeline" else MAX_TAIL
        schema = {"type": "integer", "minimum": 0, "maximum": most, "default": DEFAULT_TAIL}
        found.append({"name": "tail", "in": "query", "schema": schema, "description": "the last N records"})
    return {"parameters": found}


OWN: dict[str, tuple[str, ...]] = {
    "logs": ("stream",),
    "events": ("kind", "type", "phase"),
    "alerts": ("rule", "priority", "kind", "type", "phase", "id"),
    "lifecycle": ("kind",),
    "gaps": ("what", "cause"),
    "audit": AUDIT_FILTERS,
    "access": ("user", "kind", "confidence"),
    "timeline": ("stream", "kind", "type", "phase", "rule", "priority", "what", "cause"),
    "workloads": (),
    "compare": ("stream",),
}
"""The parameters that only some tables have."""

COMMON = filter_reader(*OWN["timeline"])
LOGS = filter_reader(*OWN["logs"])
EVENTS = filter_reader(*OWN["events"])
ALERTS = filter_reader(*OWN["alerts"])
LIFECYCLE = filter_reader(*OWN["lifecycle"])
GAPS = filter_reader(*OWN["gaps"])
AUDIT = filter_reader(*OWN["audit"])
ACCESS = filter_reader(*OWN["access"])
WORKLOADS = filter_reader()
COMPARE = filter_reader(*OWN["compare"])
TAIL = read_tail
