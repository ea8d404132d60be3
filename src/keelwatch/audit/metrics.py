"""What the hub counts about audit events (docs/reference/metrics.md lists all metrics)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EVENTS = Counter(
    "keelwatch_hub_audit_events_total", "Audit events by source and outcome", ["source", "outcome"]
)
REFUSED = Counter("keelwatch_hub_audit_refused_total", "Requests of audit webhooks refused", ["reason"])
ALERTS = Counter("keelwatch_hub_audit_alerts_total", "Firings of rules on audit events", ["priority"])
DROPPED = Counter(
    "keelwatch_hub_audit_dropped_total", "Audit events that the API server says it dropped", ["plugin"]
)
BEHIND = Gauge("keelwatch_hub_audit_file_behind_bytes", "Bytes of audit log files not read yet", ["path"])
