"""What the inventory counts. Documented in docs/reference/metrics.md."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

OBJECTS = Gauge("keelwatch_hub_inventory_objects", "Objects known now", ["kind"])
LISTS = Counter("keelwatch_hub_inventory_lists_total", "Lists of all objects of a kind", ["kind"])
FAILURES = Counter(
    "keelwatch_hub_inventory_failures_total", "Lists and watches that failed", ["kind", "reason"]
)
LABELS_CUT = Counter("keelwatch_hub_inventory_labels_cut_total", "Labels left out, of objects with too many")
UNREADABLE = Counter("keelwatch_hub_inventory_unreadable_total", "Objects without a uid or a name", ["kind"])
ROWS = Counter("keelwatch_hub_inventory_rows_total", "Rows written", ["table"])
FEEDS = Counter("keelwatch_hub_inventory_feeds_total", "Answers to agents", ["full"])
