"""Writes the reference pages that come from the code: python -m tools.reference [DIRECTORY]

gaps.md from model/gap.py, api.md from the API's own description, metrics.md from what both programs
export. A test compares the pages with what this makes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import REGISTRY

import keelwatch.hub.app  # noqa: F401  # registers the hub's metrics
from keelwatch.agent.node import Agent
from keelwatch.agent.readings import readings
from keelwatch.console import api
from keelwatch.console.parameters import DESCRIPTIONS, OWN
from keelwatch.model.gap import CAUSES

TARGET = Path(__file__).parent.parent / "docs" / "reference"
HEADER = "Made by `make docs` from the code; do not edit.\n"


def pages() -> dict[str, str]:
    """File name → text."""
    return {"gaps.md": _gaps(), "api.md": _api(), "metrics.md": _metrics()}


def main() -> None:
    """Write all pages."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    for name, text in pages().items():
        (target / name).write_text(text, "utf-8")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _gaps() -> str:
    causes = _table(("cause", "meaning"), ((f"`{cause}`", meaning) for cause, meaning in CAUSES.items()))
    return f"""# Gaps

{HEADER}
A gap is an interval in which something was not observed. Every loss, in the kernel, on the node, on the way or at
the hub, becomes one: `what` (an event class, `all`, `logs`, or a table), `from_time`, `to_time`, `cause`, `amount`
and `unit`, with the identity of the container, or of the node when it concerns all of it. `keelwatch gaps` lists
them; `GET /api/v1/gaps` returns them.

{causes}"""


def _api() -> str:
    routes = cast(Any, api.router.routes)
    calls = _table(
        ("call", "returns", "own parameters"),
        (
            (f"`GET {route.path}`", route.summary, ", ".join(f"`{p}`" for p in _own(route.path)))
            for route in routes
        ),
    )
    parameters = _table(
        ("parameter", "meaning"), ((f"`{name}`", text) for name, text in DESCRIPTIONS.items())
    )
    return f"""# HTTP API

{HEADER}
The hub describes its API at `/openapi.json`. Send `Authorization: Bearer <token>`; the log-in token of `keelwatch up`
has role admin, a viewer's token reads the same. Records come as NDJSON, one object a line, oldest first
(docs/reference/records.md); errors as `{{"error": {{"code", "message", "hint"}}}}` with status 400, 401, 403, 404 or 503.
`/healthz` and `/readyz` need no token.

{calls}
Parameters that all of them have unless another line says so, and those above:

{parameters}
Besides: `tail` (the last N records; default 1000, at most 100,000), `follow=true` (keep the answer open and send new
records as they are stored), and for the histogram `buckets`.

Agents use `POST /v1/batches` and `GET /v1/spools/<spool>`; the bytes are described in `src/keelwatch/model/batch.py`.
"""


def _own(path: str) -> tuple[str, ...]:
    return OWN.get(path.rpartition("/")[2], ())


def _metrics() -> str:
    return f"""# Metrics

{HEADER}
Prometheus format at `/metrics`: on the hub's own address (any token), and on the agent's `--metrics-listen` address
(loopback by default, no token). The usual `process_*` and `python_*` metrics are there, too.

## Agent

{_table(("metric", "type", "labels", "meaning"), _agent_rows())}
## Hub

{_table(("metric", "type", "labels", "meaning"), _hub_rows())}"""


def _agent_rows() -> Iterator[tuple[str, ...]]:
    for reading in readings(cast(Agent, _Anything())):
        name = reading.name if reading.gauge else f"{reading.name}_total"
        kind = "gauge" if reading.gauge else "counter"
        yield f"`{name}`", kind, ", ".join(reading.labels), reading.help


def _hub_rows() -> Iterator[tuple[str, ...]]:
    for collector in list(REGISTRY._collector_to_names):  # the registry has no public list
        family = getattr(collector, "_name", "")
        if family.startswith("keelwatch_hub_"):
            metric = cast(Any, collector)
            name = f"{family}_total" if metric._type == "counter" else family
            yield f"`{name}`", metric._type, ", ".join(metric._labelnames), metric._documentation


class _Anything(SimpleNamespace):
    """Stands for an agent: the descriptions are wanted, nothing is read."""

    def __getattr__(self, name: str) -> _Anything:
        return _Anything()


if __name__ == "__main__":
    main()
