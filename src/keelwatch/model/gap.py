"""A gap: an interval in which something was not observed, with its cause and amount."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keelwatch.model.identity import Identity

CAUSES: dict[str, str] = {
    "ring_full": "the ring buffer had no room",
    "map_full": "a kernel map had no room",
    "recursion": "the kernel skipped a program that was already running on that CPU",
    "truncated": "a path, argument list or environment was longer than the sensor reads",
    "read_failed": "the kernel could not read the memory or object behind an event",
    "decode_error": "a record of the ring buffer could not be understood",
    "spool_full": "the spool had reached its size limit",
    "disk_full": "the disk had no room",
    "spool_corrupt": "a spool segment failed its checksum and was set aside",
    "rejected": "the hub could not parse the batch and set it aside",
    "sequence": "the hub saw a jump in the batch sequence",
    "row_count": "a batch held another number of rows than its header said",
    "log_vanished": "a log file was deleted or truncated before it was read",
    "line_invalid": "a log line did not follow the container runtime's format",
    "line_too_long": "a log line was longer than the limit and was cut",
    "unexamined": "a new program ran, but its content could not be compared with the image in time",
    "fault": "a fault of keelwatch itself; the program's log says more",
    "agent_down": "the agent was not running",
    "hub_down": "the hub was not running; agents kept their records meanwhile",
    "sensor_off": "the sensor was not loaded",
    "inventory_off": "the API server could not be watched; what came and went meanwhile is not known",
    "audit_invalid": "an audit event, or a whole request or line of them, could not be understood",
    "audit_cut": "an audit event is stored without its request or response, which was too long",
    "audit_dropped": "the API server dropped audit events, as its metrics say",
    "audit_file": "a file of the audit log was gone, cut off or unreadable before it was read to its end",
    "canary_missing": "a canary's log line or program run did not reach the store in time",
}
"""Every cause a gap can have, with its meaning. Documented in docs/reference/gaps.md."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Times are nanoseconds since the epoch; `amount` counts `unit`s (events, lines, bytes, batches).

    `what` is the event class or "logs", or the name of the table concerned.
    """

    what: str
    cause: str
    from_time: int
    to_time: int
    amount: int
    unit: str
    identity: Identity
    detail: str = ""

    def columns(self) -> dict[str, Any]:
        """One row of the `gaps` table."""
        return {
            **self.identity.columns(),
            "time": self.to_time,
            "what": self.what,
            "cause": self.cause,
            "from_time": self.from_time,
            "to_time": self.to_time,
            "amount": self.amount,
            "unit": self.unit,
            "detail": self.detail,
        }
