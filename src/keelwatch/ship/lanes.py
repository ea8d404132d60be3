"""Lanes: what is urgent does not wait behind what is much.

The order of batches matters within a table only. So the tables are dealt out to lanes, each with its
own way through the spool and its own connection to the hub: after an outage alerts arrive at once,
however many gigabytes of logs wait.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Lane: TypeAlias = Literal["prompt", "events", "logs"]

LANES: tuple[Lane, ...] = ("prompt", "events", "logs")


def lane_of(table: str) -> Lane:
    """The lane of a table. Alerts, gaps and whatever else is little travel together."""
    return table if table in ("events", "logs") else "prompt"  # type: ignore[return-value]  # one of the two
