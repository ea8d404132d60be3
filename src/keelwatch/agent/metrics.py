"""The agent's Prometheus metrics: read from the parts when they are asked for, never pushed.

Names are documented in docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Value = int | float | Mapping[Any, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric: `read` returns its value, or a value for each combination of `labels`."""

    name: str
    help: str
    read: Callable[[], Value]
    labels: tuple[str, ...] = ()
    gauge: bool = False


class Readings(Collector):
    """Collects a list of readings."""

    def __init__(self, readings: list[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Any]:
        """Yield one metric family for each reading."""
        for reading in self._readings:
            family = GaugeMetricFamily if reading.gauge else CounterMetricFamily
            metric = family(reading.name, reading.help, labels=reading.labels)
            value = reading.read()
            values = value if isinstance(value, Mapping) else {(): value}
            for labels, number in values.items():
                metric.add_metric(labels, number)
            yield metric


def serve(listen: str, readings: list[Reading]) -> Callable[[], None]:
    """Serve /metrics on `listen` ("host:port"); return what stops it. Raises OSError."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    registry.register(Readings(readings))
    host, _, port = listen.rpartition(":")
    server, thread = start_http_server(int(port), host, registry)

    def stop() -> None:
        server.shutdown()
        thread.join(5)

    return stop
