"""An audit event: one stage of one request to the API server (audit.k8s.io/v1), with whom it is about.

`raw` is the event as the API server wrote it. It may hold what must not be stored (data of Secrets,
tokens): rules read it, records are made of a redacted copy only (audit/redact.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from keelwatch.model.identity import Identity

API_VERSION = "audit.k8s.io/v1"
STAGES: tuple[str, ...] = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
LEVELS: tuple[str, ...] = ("None", "Metadata", "Request", "RequestResponse")
AUDIT_KIND = "audit"
"""What `kind` of event rules see; the sensor's kinds are those of model.observation."""

Key: TypeAlias = tuple[str, str, int]
"""(auditID, stage, time): the name of an event for ever. A caller may choose the audit ID (the header
`Audit-ID`), and use one twice, so that alone it names nothing."""


@dataclass(slots=True, eq=False)
class AuditEvent:
    """`time` is when the stage was reached, nanoseconds since the epoch. `source`: webhook or file."""

    time: int
    raw: dict[str, Any]
    identity: Identity = field(default_factory=Identity)
    source: str = "webhook"
    kind: str = AUDIT_KIND

    @property
    def key(self) -> Key:
        """The event's name."""
        return self.text("auditID"), self.text("stage"), self.time

    @property
    def target(self) -> dict[str, Any]:
        """The reference to the object that the request is about; empty where it is about none."""
        found = self.raw.get("objectRef")
        return found if isinstance(found, dict) else {}

    def get(self, *path: str) -> Any:
        """What stands at a path of keys; None where nothing does."""
        found: Any = self.raw
        for key in path:
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found

    def text(self, *path: str) -> str:
        """The text at a path; "" where there is none."""
        found = self.get(*path)
        return found if isinstance(found, str) else ""

    def texts(self, *path: str) -> list[str]:
        """The texts of a list at a path."""
        found = self.get(*path)
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
