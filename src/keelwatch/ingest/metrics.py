"""What the hub counts about its intake (docs/reference/metrics.md lists all metrics)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

BATCHES = Counter("keelwatch_hub_batches_total", "Batches by table and outcome", ["table", "outcome"])
ROWS = Counter("keelwatch_hub_rows_total", "Rows stored, by table", ["table"])
RAW_BYTES = Counter("keelwatch_hub_raw_bytes_total", "Uncompressed bytes stored, by table", ["table"])
WIRE_BYTES = Counter("keelwatch_hub_wire_bytes_total", "Bytes of request bodies received from agents")
INSERT_SECONDS = Histogram(
    "keelwatch_hub_insert_seconds",
    "Time of one insertion (one part)",
    ["table"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
QUEUED_BATCHES = Gauge("keelwatch_hub_queued_batches", "Batches received and not yet stored", ["table"])
QUEUED_BYTES = Gauge("keelwatch_hub_queued_bytes", "Bytes of requests received and not yet answered")
GAPS = Counter("keelwatch_hub_gaps_total", "Gaps that the hub itself recorded, by cause", ["cause"])
REFUSED = Counter("keelwatch_hub_refused_total", "Requests of agents refused, by reason", ["reason"])
UNAUTHORISED = Counter(
    "keelwatch_hub_unauthorised_total", "Requests without a valid token, by kind", ["kind"]
)
REVIEWS = Counter(
    "keelwatch_hub_token_reviews_total", "ServiceAccount tokens asked about at the API server", ["outcome"]
)
