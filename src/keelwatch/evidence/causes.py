"""Why something was not observed, in the order in which causes are looked at (docs/reference/coverage.md)."""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["events", "logs"]
KINDS: tuple[Kind, ...] = ("events", "logs")
"""What is observed of a container, each with a coverage of its own."""

MISSING: dict[str, str] = {
    "windows_node": "the node runs Windows, for which there is no agent",
    "sandboxed_runtime": "the container runs in a sandbox (gVisor, Kata), into which its node cannot look",
    "no_agent": "no agent ever reported from this node",
    "before_agent": "the agent was not there yet",
    "agent_down": "the agent was not running",
    "agent_silent": "nothing is heard of the agent: it is down, or cut off and its records still come",
    "sensor_off": "the sensor was not loaded",
    "logs_off": "the agent was told not to read logs",
    "no_log_file": "the runtime keeps this container's log where no file can be read",
    "not_followed": "the agent ran, but never took up this container's log",
}
"""Causes of missing intervals. Of several that hold at once the first one here is named."""

OPEN = "open"
"""Not yet known: the agent was heard of a moment ago, and what came since is on its way."""

LOSSES: frozenset[str] = frozenset(
    {
        "ring_full",
        "map_full",
        "recursion",
        "decode_error",
        "spool_full",
        "disk_full",
        "spool_corrupt",
        "rejected",
        "sequence",
        "row_count",
        "log_vanished",
        "fault",
        "canary_missing",
    }
)
"""Causes of gaps (model.gap) for which records are lost. The others leave a record that is not whole."""

ROTATED = "log_rotated"
"""A log had been rotated before the agent came, so its first files may be gone. No gap: nobody knows."""

_LOG_CLASSES = frozenset({"logs"})
_OTHER_TABLES = frozenset({"alerts", "lifecycle", "gaps", "hub", "objects", "audit", "access"})


def kinds_lost(what: str) -> tuple[Kind, ...]:
    """What a gap with this `what` (an event class, a table, or all) takes away."""
    if what == "all":
        return KINDS
    if what in _LOG_CLASSES:
        return ("logs",)
    return () if what in _OTHER_TABLES else ("events",)
