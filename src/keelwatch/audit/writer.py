"""Group commit of audit events: one thread deduplicates, detects, stores, and only then says so.

An event is named by (auditID, stage), and its time never changes: the names seen last are kept in
memory, the store is asked for the others. Alerts are stored before the events that they are about
and bear names made of the event's, so a kill between the two neither loses nor doubles them.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from keelwatch.audit import metrics
from keelwatch.audit.alert_repeats import Repeats
from keelwatch.audit.identity import Identify, identity_of, nobody
from keelwatch.audit.parse import Parsed
from keelwatch.audit.records import AuditAlert, Row, alert_row, audit_row
from keelwatch.audit.redact import redacted
from keelwatch.audit.seen import Seen, stored_alerts
from keelwatch.detect.rules import RuleSet
from keelwatch.ingest.recorder import Recorder
from keelwatch.kit import faults
from keelwatch.model.audit import AuditEvent
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.store.database import Database, StoreError

_log = logging.getLogger(__name__)
GATHER_SECONDS = 0.05
GROUP_EVENTS = 5000
TICK_SECONDS = 1.0
MOST_WAITING = 64
"""Requests and pieces of files that wait; more wait with whoever sends them."""


class UnavailableError(RuntimeError):
    """The store cannot write now; whoever sent the events has to send them again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the events of one submission."""

    stored: int = 0
    repeated: int = 0


@dataclass(slots=True)
class Submission:
    """Events and mistakes that come together; `done` ends when all of it is durable."""

    parsed: Parsed
    source: str
    digest: str  # of what was received, so that the same mistakes are recorded once
    done: Future[Outcome] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """`rules` gives the rules in force now, `identify` the identity of a pod; `cluster` is its name."""

    rules: Callable[[], RuleSet]
    cluster: str = ""
    identify: Identify = nobody


class AuditWriter:
    """The only writer of the table `audit`."""

    def __init__(self, database: Database, recorder: Recorder, settings: AuditSettings) -> None:
        self._database = database
        self._recorder = recorder
        self._settings = settings
        self._seen = Seen(database)
        self._repeats = Repeats()
        self._queue: queue.Queue[Submission | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="write-audit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, tell the repeats that were counted, then end."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, parsed: Parsed, source: str, digest: str) -> Future[Outcome]:
        """Hand events over; wait for a place if too many wait. The future ends when they are durable."""
        submission = Submission(parsed, source, digest)
        self._queue.put(submission)
        return submission.done

    def _run(self) -> None:
        stopping = False
        while not stopping:
            group, stopping = self._gather()
            if group:
                self._commit_all(group)
            self._tell_repeats(stopping)

    def _gather(self) -> tuple[list[Submission], bool]:
        """Wait for work, then a moment longer for more of it."""
        group: list[Submission] = []
        until = time.monotonic() + TICK_SECONDS
        while sum(len(one.parsed.events) for one in group) < GROUP_EVENTS:
            try:
                found = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if found is None:
                return group, True
            if not group:
                until = time.monotonic() + GATHER_SECONDS
            group.append(found)
        return group, False

    def _commit_all(self, group: Sequence[Submission]) -> None:
        open_windows = dict(self._repeats.open)
        try:
            outcomes = self._commit(group)
        except Exception as error:  # whatever it was, nobody may wait for ever
            self._repeats.open = open_windows
            reason = error.brief if isinstance(error, StoreError) else repr(error)
            _log.error("could not store audit events: %s", reason)
            for one in group:
                one.done.set_exception(UnavailableError(reason))
            return
        for one, outcome in zip(group, outcomes, strict=True):
            one.done.set_result(outcome)

    def _commit(self, group: Sequence[Submission]) -> list[Outcome]:
        new = self._seen.new(event for one in group for event in one.parsed.events)
        now = time.time_ns()
        alerts, rows = self._judged(new, now)
        self._store_alerts(self._repeats.take(alerts))
        faults.point("audit.alerts_stored")
        self._recorder.write("audit", rows)
        faults.point("audit.stored")
        self._seen.remember(new)
        self._record_gaps(group, rows, now)
        return _outcomes(group, new, alerts)

    def _judged(self, new: Sequence[AuditEvent], now: int) -> tuple[list[AuditAlert], list[Row]]:
        """The alerts and rows that the events make."""
        alerts: list[AuditAlert] = []
        rows: list[Row] = []
        rules = self._settings.rules()
        for event in new:
            try:
                clean = self._completed(event)
                alerts += [AuditAlert(rule, clean) for rule in rules.match(event)]
                rows.append(audit_row(clean, now))
            except StoreError:
                # The store does not say whose pod it is, so it could hardly take the rows either. Nothing is
                # stored then, and who sent them sends them again: an identity is frozen, and one without its
                # uid and workload would stay so for ever.
                raise
            except Exception:  # a sender repeats what is refused: one event may not stop all others
                _log.exception("audit event %s is left out", event.key)
                self._recorder.record_once(_fault(event, now))
        return alerts, rows

    def _completed(self, event: AuditEvent) -> AuditEvent:
        """Give the event its identity; return what of it may be stored."""
        event.identity = identity_of(event, self._settings.cluster, self._settings.identify)
        return redacted(event)

    def _store_alerts(self, alerts: Sequence[AuditAlert]) -> None:
        there = stored_alerts(self._database, alerts)
        self._recorder.write("alerts", [alert_row(one) for one in alerts if one.id not in there])

    def _tell_repeats(self, stopping: bool) -> None:
        before = dict(self._repeats.open)
        try:
            self._store_alerts(self._repeats.due(all_of_them=stopping))
        except StoreError as error:
            self._repeats.open = before
            _log.warning("could not store counted alerts: %s", error.brief)

    def _record_gaps(self, group: Sequence[Submission], rows: Sequence[Row], now: int) -> None:
        for one in group:
            if one.parsed.mistakes:
                self._recorder.record_once(_invalid(one, self._settings.cluster, now))
        cut = [row["time"] for row in rows if row["truncated"]]
        if cut:
            who = Identity(cluster=self._settings.cluster)
            detail = "bodies of requests or responses longer than is stored"
            gap = Gap("audit", "audit_cut", min(cut), max(cut), len(cut), "events", who, detail)
            self._recorder.record([gap])


def _invalid(one: Submission, cluster: str, now: int) -> Gap:
    """The mistakes of one submission; a sender who repeats it is not counted again."""
    mistakes = one.parsed.mistakes
    detail = f"{one.source} {one.digest}: {mistakes[0]}"
    return Gap("audit", "audit_invalid", now, now, len(mistakes), "events", Identity(cluster=cluster), detail)


def _fault(event: AuditEvent, now: int) -> Gap:
    detail = f"audit event {event.key[0]} {event.key[1]}"
    return Gap("audit", "fault", event.time, now, 1, "events", event.identity, detail)


def _outcomes(
    group: Sequence[Submission], new: Sequence[AuditEvent], alerts: Iterable[AuditAlert]
) -> list[Outcome]:
    """Count what became of each submission's events."""
    fresh = {id(event) for event in new}
    found = []
    for one in group:
        stored = sum(id(event) in fresh for event in one.parsed.events)
        outcome = Outcome(stored, len(one.parsed.events) - stored)
        metrics.EVENTS.labels(one.source, "stored").inc(outcome.stored)
        metrics.EVENTS.labels(one.source, "repeated").inc(outcome.repeated)
        metrics.EVENTS.labels(one.source, "invalid").inc(len(one.parsed.mistakes))
        found.append(outcome)
    for alert in alerts:
        metrics.ALERTS.labels(alert.rule.priority).inc()
    return found
