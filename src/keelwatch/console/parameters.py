"""The API's query parameters, each table with those it has; unknown ones are refused."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from keelwatch.console.auth import ApiError
from keelwatch.query.filter import Filter

_SHARED = (
    "cluster", "node", "namespace", "workload", "pod", "container", "container_id", "selector", "since",
    "until", "grep", "regex",
)  # fmt: skip
_CONTROLS = ("tail", "follow", "buckets")
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
        return Filter(**{name: given[name] for name in allowed if name in given})

    return read


COMMON = filter_reader("stream", "kind", "type", "phase", "rule", "priority", "what", "cause")
LOGS = filter_reader("stream")
EVENTS = filter_reader("kind", "type", "phase")
ALERTS = filter_reader("rule", "priority", "kind", "type", "phase", "id")
LIFECYCLE = filter_reader("kind")
GAPS = filter_reader("what", "cause")
