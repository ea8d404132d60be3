"""List and watch, one thread for each kind: pages, bookmarks, and a new list when a watch cannot go on.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from keelwatch.inventory import metrics
from keelwatch.inventory.bounds import mapping, text
from keelwatch.inventory.client import Api, ApiError, UnreachableError
from keelwatch.inventory.inventory import Inventory
from keelwatch.inventory.kinds import KINDS, Kind
from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.parse import Json, parse
from keelwatch.kit import clock
from keelwatch.kit.backoff import Backoff

log = logging.getLogger(__name__)

PAGE = "500"
WATCH_SECONDS = 300
"""A watch is ended by the server after that (and up to half of it more): load moves between servers."""
SILENCE = 120.0
"""Seconds without a byte after which a watch is dead: bookmarks come about once a minute."""
PATIENCE = 30.0
"""Seconds that the list of pods waits for those of their owners, unless they are forbidden to us."""
LASTING = 5.0
"""Seconds behind which the end of a watch is a usual one; what ends each at once must not be hurried."""
EXPIRED = 410
REFUSED = frozenset({403, 404})
"""No, and not "not now": what needs these objects does without them."""

Lost = Callable[[str, int, int], None]
"""(kind, from, to): in this time nobody watched, and what came and went is unknown."""


@dataclass(slots=True)
class State:
    """How the watch of a kind fares. `problem` is "" while it goes well; times as `clock.now`."""

    listed: bool = False
    refused: bool = False
    problem: str = ""
    contact: int = 0


class Watcher:
    """Feeds the inventory with one kind until it is stopped."""

    def __init__(self, api: Api, kind: Kind, inventory: Inventory, lost: Lost, after: list[Watcher]) -> None:
        self._api = api
        self._kind = kind
        self._inventory = inventory
        self._lost = lost
        self._after = after
        self._version = ""
        self._backoff = Backoff(0.25, 30.0)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {kind.resource}", daemon=True)
        self.state = State()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; a watch that is silent ends with the process."""
        self._closing.set()

    def _run(self) -> None:
        self._await_owners()
        while not self._closing.is_set():
            try:
                if not self._version:
                    self._list()
                pause = self._follow()
            except ApiError as error:
                pause = self._refused(error)
            except UnreachableError as error:
                pause = self._failed("unreachable", str(error))
            except Exception as error:
                log.exception("a fault in the watch of %s", self._kind.resource)
                self._version = ""
                pause = self._failed("fault", str(error))
            self._closing.wait(pause)

    def _await_owners(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._closing.is_set():
            if all(other.state.listed or other.state.refused for other in self._after):
                return
            self._closing.wait(0.02)

    def _list(self) -> None:
        """Put all objects, page by page. A list that outlives its snapshot begins again, at the next try."""
        uids: set[str] = set()
        query = {"limit": PAGE}
        while True:
            page = self._api.get(self._kind.path, query)
            for raw in _raws(page):
                if one := self._parsed(raw):
                    uids.add(one.uid)
                    self._inventory.put(one)
            meta = mapping(page.get("metadata"))
            if not meta.get("continue"):
                break
            query["continue"] = text(meta.get("continue"), 1 << 16)
        before = self.state.contact
        self._inventory.listed(self._kind.name, uids)
        self._version = text(meta.get("resourceVersion"), 64)
        metrics.LISTS.labels(self._kind.name).inc()
        self._well()
        if before:
            self._lost(self._kind.name, before, self.state.contact)
        self.state.listed = True

    def _follow(self) -> float:
        """Watch until the server ends it; return the pause behind that: none, unless it ended at once."""
        began = time.monotonic()
        try:
            self._watch()
        finally:
            if lasted := time.monotonic() - began >= LASTING:
                self._backoff.reset()
        return 0.0 if lasted else self._ended_at_once()

    def _ended_at_once(self) -> float:
        """A server that stops does that once; again and again it is told."""
        metrics.FAILURES.labels(self._kind.name, "ended").inc()
        pause = self._backoff.next()
        if pause >= LASTING:
            self._told("each watch is ended at once, perhaps by a proxy before the API server")
        return pause

    def _watch(self) -> None:
        seconds = int(WATCH_SECONDS * random.uniform(1.0, 1.5))  # noqa: S311  # spreads load, guards nothing
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        for event in self._api.stream(self._kind.path, query, SILENCE):
            self._take(text(event.get("type"), 32), mapping(event.get("object")))
            self._well()
            if self._closing.is_set():
                return

    def _take(self, event: str, raw: Json) -> None:
        if event != "BOOKMARK" and (one := self._parsed(raw)):
            if event == "DELETED":
                self._inventory.remove(one.uid, one)
            else:
                self._inventory.put(one)
            metrics.OBJECTS.labels(self._kind.name).set(
                self._inventory.counts((self._kind.name,))[self._kind.name]
            )
        version = text(mapping(raw.get("metadata")).get("resourceVersion"), 64)
        self._version = version or self._version

    def _parsed(self, raw: Json) -> KubeObject | None:
        rules = self._inventory.rules
        one = parse(self._kind.name, raw, rules.label, rules.annotation)
        if one is None:
            metrics.UNREADABLE.labels(self._kind.name).inc()
        elif one.labels_cut:
            metrics.LABELS_CUT.inc(one.labels_cut)
        return one

    def _well(self) -> None:
        self.state.contact = clock.now()
        if self.state.refused:
            self._refuse(False)
        if self.state.problem:
            log.info("%s are watched again", self._kind.resource)
            self.state.problem = ""

    def _refused(self, error: ApiError) -> float:
        """410: the version is too old to go on from, so everything is listed again."""
        if error.status == EXPIRED:
            self._version = ""
            metrics.FAILURES.labels(self._kind.name, "expired").inc()
            return self._backoff.next()
        if error.status in REFUSED:
            self._refuse(True)
        return max(self._failed(str(error.status), str(error)), error.retry_after)

    def _refuse(self, refused: bool) -> None:
        self.state.refused = refused
        self._inventory.refused(self._kind, refused=refused)

    def _failed(self, reason: str, problem: str) -> float:
        metrics.FAILURES.labels(self._kind.name, reason).inc()
        self._told(problem)
        return self._backoff.next()

    def _told(self, problem: str) -> None:
        if not self.state.problem:
            log.warning("%s cannot be watched: %s", self._kind.resource, problem)
        self.state.problem = problem[:500]


def watchers(api: Api, inventory: Inventory, lost: Lost) -> list[Watcher]:
    """One for each kind; pods are listed after their owners."""
    made: list[Watcher] = []
    for kind in KINDS:
        made.append(Watcher(api, kind, inventory, lost, list(made) if kind.name == "Pod" else []))
    return made


def _raws(page: Json) -> list[Json]:
    found = page.get("items")
    return [raw for raw in found if isinstance(raw, dict)] if isinstance(found, list) else []
