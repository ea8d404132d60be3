"""What the agent does now and then: containers that came and went, losses, repeats, signs of life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from keelwatch.agent.alive import Alive
from keelwatch.agent.details import agent_detail, container_detail
from keelwatch.agent.enricher import Enricher
from keelwatch.agent.late_identity import BOUND
from keelwatch.agent.logs import LogThread
from keelwatch.agent.losses import Blindness, LossMeter
from keelwatch.agent.outbox import Outbox
from keelwatch.agent.pipeline import Pipeline
from keelwatch.agent.records import lifecycle_row
from keelwatch.agent.sensor import SensorThread
from keelwatch.enrich.catalog import Catalog, Container
from keelwatch.kit import clock
from keelwatch.model.identity import Identity

log = logging.getLogger(__name__)
LOOK_EVERY = 5
"""Rounds between looks for log files that belong to no container."""
SLOW_EVERY = 30
"""Rounds between scans of all runtimes: with a sensor only what it missed is found by them."""


class Housekeeping:
    """Runs on the main thread. Logs and sensor may be absent."""

    def __init__(
        self,
        catalog: Catalog,
        outbox: Outbox,
        pipeline: Pipeline,
        enricher: Enricher,
        alive: Alive,
        sensor: SensorThread | None,
        logs: LogThread | None,
        blind: str,
    ) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._pipeline = pipeline
        self._enricher = enricher
        self._alive = alive
        self._sensor = sensor
        self._logs = logs
        self._losses = LossMeter(catalog.host)
        self._blind = Blindness(catalog.host, blind)
        self._rounds = 0
        self.went_round = time.monotonic()
        """When the last round was done."""

    def run(self, closing: threading.Event) -> None:
        """Work until `closing` is set. A new container is taken up at once, not at the next second."""
        due = 0.0
        while not closing.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + 1.0
                self.round()
            _guarded(self.containers)
            closing.wait(0.05)
            self._catalog.changed.wait(0.1 if self._catalog.incomplete() else 0.95)
            self._catalog.changed.clear()

    def round(self) -> None:
        """One round. What fails (a full disk, say) does not keep the rest from being done."""
        _guarded(self._alive.beat, self._outbox.held_seconds())
        self._enricher.boot_offset = clock.boot_offset()
        if self._rounds % (SLOW_EVERY if self._sensor else 2) == 0:
            _guarded(self._slow)
        _guarded(self._pipeline.flush_repeats)
        _guarded(self._count_losses)
        if self._logs is not None and self._rounds % LOOK_EVERY == 0:
            _guarded(self._logs.look)
        self._rounds += 1
        self.went_round = time.monotonic()

    def _count_losses(self) -> None:
        if self._sensor is not None:
            for gap in self._losses.sample(self._sensor.losses()):
                self._outbox.gap(gap)
        for gap in self._blind.sample():
            self._outbox.gap(gap)

    def _slow(self) -> None:
        self._catalog.scan()
        self._pipeline.sweep()

    def containers(self) -> None:
        """Record the containers that came, became better known or went; follow their logs."""
        changes = self._catalog.poll()
        for at in changes.started:
            _guarded(self._came, at, "container_started", _start_of(at))
        for at in changes.updated:
            _guarded(self._came, at, "container_updated", clock.now())
        for at in changes.ended:
            _guarded(self._went, at)
        for at in changes.completed:
            _guarded(self._completed, at)

    def _came(self, at: Container, kind: str, when: int) -> None:
        if self._logs is not None:
            self._logs.watch(at, self._catalog.waits(at, BOUND))
        self._lifecycle(kind, at, when)

    def _went(self, at: Container) -> None:
        if self._logs is not None:
            self._logs.end(at)
        self._lifecycle("container_ended", at, at.ended)

    def _completed(self, at: Container) -> None:
        """The API server told of a pod whose container has ended meanwhile."""
        if self._logs is not None:
            self._logs.learn(at)
        self._lifecycle("container_updated", at, clock.now())

    def _lifecycle(self, kind: str, at: Container, when: int) -> None:
        labels = dict(at.details.labels) if at.details else {}
        detail = container_detail(at, kind)
        self._outbox.add("lifecycle", lifecycle_row(when, kind, at.identity, labels, detail))

    def tell(self, kind: str, detail: dict[str, object]) -> None:
        """Record that something happened to the agent itself."""
        self._outbox.add("lifecycle", lifecycle_row(clock.now(), kind, self._catalog.host, {}, detail))

    def announce(self, kind: str, identity: Identity) -> None:
        """Record that the agent started or stopped (PCI DSS 10.2.1.6), and what it did not see until now."""
        for gap in self._blind.sample(last=kind == "agent_stopped"):
            self._outbox.gap(gap)
        detail = agent_detail(sensor=self._sensor is not None, logs=self._logs is not None)
        self._outbox.add("lifecycle", lifecycle_row(clock.now(), kind, identity, {}, detail))


def _start_of(at: Container) -> int:
    """One that was there before the agent started when its runtime says, not when it was found."""
    created = at.details.created if at.details else 0
    return created if 0 < created < at.first_seen else at.first_seen


def _guarded(task: Callable[..., None], *arguments: Any) -> None:
    """Do a task; the next round may succeed where this one failed."""
    try:
        task(*arguments)
    except Exception:
        log.exception("housekeeping failed")
