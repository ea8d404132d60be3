"""The way of an event through the node: enrich → examine → detect → outbox. One list, one order.

Everything runs on the sensor's thread, but for the examination of new programs (hashing), which
has a thread of its own; such an event goes on to detection when its content is known.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from keelwatch.agent.alert_repeats import Repeats
from keelwatch.agent.enricher import Enricher
from keelwatch.agent.outbox import Outbox
from keelwatch.agent.records import alert_row, event_row
from keelwatch.agent.thinning import KINDS as THINNED
from keelwatch.agent.thinning import Thinning
from keelwatch.detect import RuleSet
from keelwatch.enrich.catalog import Catalog
from keelwatch.enrich.drift import Examiner, Layers
from keelwatch.enrich.provenance import FileHistory, with_content
from keelwatch.model.event import Alert, Event
from keelwatch.model.identity import Identity
from keelwatch.model.observation import Observation

log = logging.getLogger(__name__)
UNKNOWN = "unknown"
"""The drift of a new program that could not be examined in time; rules take it for drift."""
LAYER_TRIES, LAYER_PAUSE = 5, 0.1
MAX_WAITING = 2000
"""Events that wait for their content. Beyond, they go on unexamined, and that is counted."""


@dataclass(slots=True)
class _Waiting:
    event: Event
    overlay: bool
    written: bool


class Pipeline:
    """`feed` takes observations in order of time; rows come out at the outbox."""

    def __init__(
        self,
        enricher: Enricher,
        catalog: Catalog,
        history: FileHistory,
        examiner: Examiner,
        rules: RuleSet,
        outbox: Outbox,
        thinning: Thinning | None = None,
    ) -> None:
        self._enricher = enricher
        self._catalog = catalog
        self._history = history
        self._examiner = examiner
        self._rules = rules
        self._outbox = outbox
        self.thinning = thinning or Thinning()
        self._repeats = Repeats()
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(MAX_WAITING)
        self._sweep = threading.Event()
        self._worker = threading.Thread(target=self._examine_all, name="examine", daemon=True)
        self.events = 0
        self.alerts = 0
        self.unexamined = 0
        self.faults = 0

    def start(self) -> None:
        """Start the examining thread."""
        self._worker.start()

    def stop(self) -> None:
        """Let what waits be examined, then end."""
        self._waiting.put(None)
        self._worker.join(10)
        self._send(self._repeats.due(float("inf")))

    def feed(self, observations: Iterable[Observation]) -> None:
        """Take observations, in order of time."""
        if self._sweep.is_set():
            self._sweep.clear()
            self._guarded(self._sweep_now)
        for seen in observations:
            self._guarded(partial(self._one, seen))

    def _sweep_now(self) -> None:
        for ended in self._enricher.sweep():
            self._outbox.add("events", event_row(ended))

    def _one(self, seen: Observation) -> None:
        event = self._enricher.enrich(seen)
        if event is None:
            return
        if event.kind == "exit":  # rules know no ends: one that names no event type must not fire again
            self._outbox.add("events", event_row(event))
            return
        self.events += 1
        if _needs_examination(event, seen):
            self._enqueue(event, seen.overlay)
        else:
            self._detect(event)

    def take(self, rules: RuleSet) -> None:
        """Detect with these rules from the next event on."""
        self._rules = rules

    def sweep(self) -> None:
        """Ask for ended host processes to be forgotten; done on the sensor's thread."""
        self._sweep.set()

    def flush_repeats(self) -> None:
        """Send the alerts that stand for repeats; called now and then by housekeeping."""
        self._send(self._repeats.due())

    def _enqueue(self, event: Event, overlay: bool) -> None:
        """The story is told now: by the time the content is known, the file may be another's."""
        written = self._history.written_in_container(event)
        event.story = self._history.story(event)
        event.drift = UNKNOWN
        try:
            self._waiting.put_nowait(_Waiting(event, overlay, written))
        except queue.Full:
            self.unexamined += 1
            self._detect(event)

    def _examine_all(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            self._guarded(partial(self._examine, waiting))
            self._guarded(partial(self._detect, waiting.event))

    def _guarded(self, task: Callable[[], None]) -> None:
        """A hostile file or record must not end the thread, nor keep the rules from the event."""
        try:
            task()
        except Exception:
            self.faults += 1
            log.exception("an event could not be processed")

    def _examine(self, waiting: _Waiting) -> None:
        event = waiting.event
        layers = self._layers(_whose(event).container_id)
        if waiting.overlay and not event.memfd and not layers.lower:
            self.unexamined += 1
            return
        content = self._examiner.examine(event, layers, overlay=waiting.overlay, written=waiting.written)
        event.drift, event.sha256 = content.drift, content.sha256
        event.size = content.size or event.size
        event.process.sha256 = content.sha256
        if event.story is not None:
            event.story = None if content.drift == "image" else with_content(event.story, content.drift)

    def _layers(self, container_id: str) -> Layers:
        """Where the image's files are; a container's very first program may run before that is known."""
        for _ in range(LAYER_TRIES):
            at = self._catalog.container(container_id)
            if at is None or at.layers.lower or at.complete:
                break
            time.sleep(LAYER_PAUSE)
        return at.layers if at is not None else Layers()

    def _detect(self, event: Event) -> None:
        alerts = self._rules.alerts(event)
        if self.thinning.stores(event, self._volumes(event), alerted=bool(alerts)):
            self._outbox.add("events", event_row(event))
        self._send(self._repeats.take(alerts))

    def _volumes(self, event: Event) -> tuple[str, ...]:
        if event.kind not in THINNED or not event.identity.container_id:  # most events: no look-up for them
            return ()
        at = self._catalog.container(event.identity.container_id)
        return at.details.volumes if at is not None and at.details is not None else ()

    def _send(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            self.alerts += 1
            self._outbox.add("alerts", alert_row(alert))


def _whose(event: Event) -> Identity:
    """Whose the program is: one container can run another's. A script is found by the runner's own way."""
    if event.file_identity is not None and not event.process.script:
        return event.file_identity
    return event.identity


def _needs_examination(event: Event, seen: Observation) -> bool:
    """New programs and scripts only: a program of the image's own layers is what it is."""
    if event.kind != "exec" or event.result < 0 or event.phase != "run" or not event.identity.container_id:
        return False
    return event.memfd or event.upper or not seen.overlay or bool(event.process.script)
