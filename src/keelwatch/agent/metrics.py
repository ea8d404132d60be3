"""The agent's Prometheus metrics and health: read from the parts when asked for, never pushed.

Names are documented in docs/reference/metrics.md.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

REQUEST_SECONDS = 10
"""How long a client may take to say what it wants."""
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


Question = Callable[[], str]
"""Answers with a problem in words, "" for none."""


def serve(listen: str, readings: list[Reading], alive: Question, ready: Question) -> Callable[[], None]:
    """Serve /metrics, /healthz, /readyz on `listen` ("host:port"); return what stops it. Raises OSError."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    registry.register(Readings(readings))
    host, _, port = listen.rpartition(":")
    server = _Server((host.strip("[]"), int(port)), _handler(registry, {"/healthz": alive, "/readyz": ready}))
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)

    return stop


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


def _handler(registry: CollectorRegistry, questions: Mapping[str, Question]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in questions:
                problem = questions[path]()
                self._answer(
                    503 if problem else 200, "text/plain; charset=utf-8", f"{problem or 'ok'}\n".encode()
                )
            elif path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self._answer(404, "text/plain", b"here are /metrics, /healthz and /readyz\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: whoever asks does so every few seconds."""

    return Handler
