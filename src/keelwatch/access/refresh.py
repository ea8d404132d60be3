"""Keeps access sessions current: derived from the audit and the events, whichever of them comes first.

A pod's sessions are derived anew when the audit tells of a request to enter it, and for as long as
something may still change: the request is open, its process was not seen yet, its tree lives on. What
is derived is compared with what is stored, and only a difference is written; so it does not matter
when the hub is killed, or how often the same is derived.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from keelwatch.access.derive import DEBUG_START_LIMIT, sessions
from keelwatch.access.match import AMBIGUOUS, NONE, NS
from keelwatch.access.request import ATTACH, DEBUG, MADE, PORT_FORWARD, pod_through_node
from keelwatch.access.session import ESSENTIAL, Session, differs
from keelwatch.access.sources import Sources
from keelwatch.ingest.intake import Intake
from keelwatch.kit import faults
from keelwatch.query.access import SKEW
from keelwatch.query.access_sources import Where
from keelwatch.query.follow import advance, news
from keelwatch.store.database import Database, StoreError

_log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
FIRST_SECONDS, MOST_SECONDS, RARE_SECONDS = 1.0, 30.0, 1800.0
"""How soon a session that may change is looked at again, at first and while it stays what it is."""
SETTLED = 600 * NS
"""So long after its end a session is looked at often; late records may still come."""
FORGOTTEN = 24 * 3600 * NS
"""So long after its end one is looked at now and then whose process was not seen, or whose tree lives on."""
NEIGHBOURS = 40 * NS
"""So far apart requests may share a candidate (a start's limit, and the clocks' difference twice)."""
AROUND = 3 * NEIGHBOURS
APART = 300 * NS
DEBUG_AGE = 7 * 24 * 3600 * NS
MAX_OPEN = 20_000
MAX_PODS = 100
"""Pods that are derived in one turn; the others come in the next."""
MAX_FAILED, MAX_TRIES = 3, 100
"""After so many failures a turn ends; after so many turns a pod is given up until it is heard of again."""


@dataclass(slots=True)
class _Due:
    """A session that may still change, and when to look next (monotonic seconds)."""

    where: Where
    received: int
    at: float
    pause: float


class AccessWatch:
    """A thread that looks at new audit rows, and again at open sessions, every INTERVAL_SECONDS."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._sources = Sources(database)
        self._intake = intake
        self._seen: dict[str, int] = {}
        self._day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        self._known: set[tuple[str, int]] | None = None
        self._due: dict[str, _Due] = {}
        self._asked: dict[Where, set[int]] = {}
        self._tries: dict[Where, int] = {}  # of those for which the store did not answer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Look a last time, then end."""
        self._stopping.set()
        self._thread.join()

    def turn(self) -> None:
        """Derive the sessions that may have changed since the last turn."""
        if self._known is None:
            self._known = self._remember()
        self._hear()
        self._remind()
        failed = 0
        for where in list(self._asked)[:MAX_PODS]:
            failed += not self._derive_all(where, self._asked.pop(where))
            if failed == MAX_FAILED:  # it is the store, and not the pods
                return

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(INTERVAL_SECONDS)
            try:
                self.turn()
            except StoreError as error:
                _log.warning("access sessions could not be brought up to date: %s", error.brief)
            except Exception:
                _log.exception("access sessions could not be brought up to date")

    def _derive_all(self, where: Where, times: set[int]) -> bool:
        """Whether the store answered; if not, the pod is asked about again behind the others, some times.

        What is wrong with one pod's requests must not keep the others waiting.
        """
        try:
            for begin, end in _ranges(times):
                self._derive(where, begin, end)
        except StoreError as error:
            _log.warning(
                "access sessions of pod %s/%s are not up to date: %s", where.namespace, where.pod, error.brief
            )
            self._tries[where] = self._tries.get(where, 0) + 1
            if self._tries[where] <= MAX_TRIES:
                self._asked.setdefault(where, set()).update(times)
                return False
        except Exception:
            _log.exception("access sessions of pod %s/%s could not be derived", where.namespace, where.pod)
        self._tries.pop(where, None)
        return True

    def _remember(self) -> set[tuple[str, int]]:
        """At the start: look again at what may change, leave alone what is settled."""
        now = time.time_ns()
        settled = set()
        for row in self._sources.recent(now - 2 * FORGOTTEN):
            received = int(row["time"])
            if _rests(row, now) and row["requests"]:
                settled.add((str(row["requests"][0]), received))
            else:
                self._ask(_where(row), received)
        return settled

    def _hear(self) -> None:
        stored = self._intake.highest("audit")
        while spans := news(self._seen, stored):
            for row in self._sources.news(spans, self._day):
                received = int(row["requested"])
                if (str(row["audit_id"]), received) not in (self._known or ()):
                    self._hear_of(row, received)
            self._seen = advance(self._seen, spans)
        self._known = set()

    def _hear_of(self, row: dict[str, Any], received: int) -> None:
        where = Where(str(row["cluster"]), str(row["namespace"]), str(row["name"]))
        if row["resource"] == "nodes":
            pod = pod_through_node(str(row["uri"]))
            if pod is None:
                return
            where = Where(where.cluster, *pod)
        self._ask(where, received)

    def _ask(self, where: Where, received: int) -> None:
        self._asked.setdefault(where, set()).add(received)

    def _remind(self) -> None:
        now = time.monotonic()
        for due in self._due.values():
            if due.at <= now:
                self._ask(due.where, due.received)

    def _derive(self, where: Where, begin: int, end: int) -> None:
        """Derive what was asked for and its neighbours; those at the edges have neighbours not loaded."""
        now = time.time_ns()
        debugs = self._sources.debugs(where, begin - DEBUG_AGE, begin - AROUND)
        first = min([begin, *(int(row["time"]) for row in debugs)])
        requests = self._sources.requests(where, first - DEBUG_START_LIMIT - AROUND, end + AROUND)
        first = min([first, *(one.received for one in requests if one.kind == MADE)])
        last = end
        if any(one.kind in (DEBUG, MADE) for one in requests):  # what joins it may come as long as it lives
            last = max(end, now)
            requests = self._sources.requests(where, first - AROUND, last + AROUND)
        if not requests:
            return
        found = sessions(requests, self._sources.seen(where, requests, now))
        near = range(first - NEIGHBOURS, last + NEIGHBOURS)
        self._store([one for one in found if one.request.received in near])

    def _store(self, found: Sequence[Session]) -> None:
        stored = self._sources.stored([session.request.id for session in found])
        now = time.time_ns()
        changed = []
        for one in found:
            before = stored.get(one.request.id, {})
            if before and _rests(before, now) and before["trees"] == one.columns()["trees"]:
                continue  # nothing to count anew
            session = self._with_deeds(one)
            row = session.columns()
            if differs(row, before):
                version = max(time.time_ns(), int(before.get("version", 0)) + 1)
                changed.append(row | {"version": version})
            self._schedule(session, changed=differs(row, before, ESSENTIAL))
        faults.point("access.derived")
        self._intake.recorder.write("access", changed)
        faults.point("access.stored")

    def _with_deeds(self, session: Session) -> Session:
        early = 0 if session.request.kind == ATTACH else SKEW
        since = session.request.received - early
        return replace(session, deeds=self._sources.deeds(session.columns(), since, session.until))

    def _schedule(self, session: Session, *, changed: bool) -> None:
        """When to look again: soon where something has just changed, less and less often otherwise."""
        request, now = session.request, time.time_ns()
        if _rests(_brief(session), now):
            self._due.pop(request.id, None)
            return
        known = self._due.get(request.id)
        if known is None and len(self._due) >= MAX_OPEN:
            self._due.pop(next(iter(self._due)))
        over = session.ended and now - session.ended > SETTLED
        most = RARE_SECONDS if over else MOST_SECONDS
        pause = FIRST_SECONDS if known is None or changed else min(known.pause * 2, most)
        if over:
            pause = RARE_SECONDS
        where = Where(request.cluster, request.namespace, request.pod)
        self._due[request.id] = _Due(where, request.received, time.monotonic() + pause, pause)


def _brief(session: Session) -> dict[str, Any]:
    return {
        "kind": session.request.kind,
        "ended": session.ended,
        "confidence": session.match.confidence,
        "last_event": session.deeds.last,
        "running": session.running,
    }


def _rests(row: dict[str, Any], now: int) -> bool:
    """Whether nothing is expected to change any more."""
    ended = int(row["ended"])
    if not ended:
        return False
    if row["kind"] == PORT_FORWARD:
        return True
    lives = int(row["last_event"]) > ended or int(row["running"]) > 0
    lives = lives or row["confidence"] in (NONE, AMBIGUOUS)
    return now - ended > (FORGOTTEN if lives else SETTLED)


def _where(row: dict[str, Any]) -> Where:
    return Where(str(row["cluster"]), str(row["namespace"]), str(row["pod"]))


def _ranges(times: Iterable[int]) -> list[tuple[int, int]]:
    """Times that are near each other as ranges, so that equal requests are weighed together."""
    found: list[tuple[int, int]] = []
    for at in sorted(times):
        if found and at - found[-1][1] <= APART:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found
