"""The sensor's thread: drain → decode → order → pipeline."""

from __future__ import annotations

import threading
import time

from keelwatch.agent.order import Order
from keelwatch.agent.pipeline import Pipeline
from keelwatch.capture.ring import Sensor
from keelwatch.decode.sensor import decode

DRAIN_MS = 50
"""How long a drain waits for the first record: it bounds how long a settled record is held."""


class SensorThread:
    """Owns the reading side of the sensor."""

    def __init__(self, sensor: Sensor, pipeline: Pipeline) -> None:
        self._sensor = sensor
        self._pipeline = pipeline
        self._order = Order()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sensor", daemon=True)
        self.decode_errors = 0
        self.observations = 0

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Read what is there, then end."""
        self._closing.set()
        self._thread.join(10)

    def losses(self) -> dict[tuple[str, str], int]:
        """Everything lost so far between the kernel and the pipeline, by event class and cause."""
        totals = dict(self._sensor.losses())
        totals["all", "decode_error"] = self.decode_errors + self._pipeline.failed
        return totals

    def _run(self) -> None:
        while not self._closing.is_set():
            self._round()
        self._pipeline.feed(self._order.drain())

    def _round(self) -> None:
        began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        seen, errors = decode(self._sensor.drain(DRAIN_MS))
        self.decode_errors += errors
        self.observations += len(seen)
        self._pipeline.feed(self._order.push(seen, began))
