"""The sensor's thread: drain → decode → order → pipeline."""

from __future__ import annotations

import time

from keelwatch.agent.order import Order
from keelwatch.agent.pipeline import Pipeline
from keelwatch.capture.ring import Sensor
from keelwatch.decode.sensor import decode
from keelwatch.kit.worker import Worker
from keelwatch.model.observation import Observation

DRAIN_MS = 50
"""How long a drain waits for the first record while others are held: it bounds how long those wait."""
IDLE_MS = 250
"""How long it waits when none is held. It ends with the first record that comes."""


class SensorThread:
    """Owns the reading side of the sensor."""

    def __init__(self, sensor: Sensor, pipeline: Pipeline) -> None:
        self._sensor = sensor
        self._pipeline = pipeline
        self._order = Order()
        self._worker = Worker("sensor", self._round)
        self.decode_errors = 0
        self.observations = 0

    def start(self) -> None:
        """Start reading."""
        self._worker.start()

    def stop(self) -> None:
        """Read what is there, then end."""
        self._worker.stop()
        rest = self._decode(self._sensor.drain(0))
        self._pipeline.feed(self._order.push(rest, time.clock_gettime_ns(time.CLOCK_BOOTTIME)))
        self._pipeline.feed(self._order.drain())

    def losses(self) -> dict[tuple[str, str], int]:
        """Everything lost so far between the kernel and the pipeline, by event class and cause."""
        totals = dict(self._sensor.losses())
        totals["all", "decode_error"] = self.decode_errors
        totals["all", "fault"] = self._pipeline.faults + self._worker.faults
        totals["exec", "unexamined"] = self._pipeline.unexamined
        return totals

    def _round(self) -> bool:
        records = self._sensor.drain(DRAIN_MS if self._order.holds else IDLE_MS)
        if not records and not self._order.holds:
            return True
        waited = self._decode(records)
        # What came during the wait would have to be held for another one: a second look, which does
        # not wait, settles it at once.
        began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._pipeline.feed(self._order.push(waited + self._decode(self._sensor.drain(0)), began))
        return True

    def _decode(self, records: memoryview) -> list[Observation]:
        seen, errors = decode(records)
        self.decode_errors += errors
        self.observations += len(seen)
        return seen
