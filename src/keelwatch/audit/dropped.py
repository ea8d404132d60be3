"""What the API server says it dropped of its audit events, as gaps.

`apiserver_audit_error_total` counts events that a backend (plugin) failed to record. A counter begins
anew with its process, so it is kept per start time of the process; that also tells several API servers
behind one address apart. Which of them answers is the balancer's choice, made anew each time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from prometheus_client.parser import text_string_to_metric_families

from keelwatch.audit import metrics
from keelwatch.ingest.auth import write_private
from keelwatch.ingest.recorder import Recorder
from keelwatch.kit.lru import LRU
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.store.database import StoreError

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 30.0
MAX_SERVERS = 100
MAX_SAME_START = 16
SECOND = 1_000_000_000
ERRORS = "apiserver_audit_error_total"
START = "process_start_time_seconds"
WANTED = (ERRORS, START)


@dataclass(slots=True)
class Server:
    """What the API server processes of one start time had counted, by plugin, when one was asked last.

    That is one process nearly always; the start is told in hundredths of a second. A plugin has a count
    of each process that it takes to explain what was read. `asked` is nanoseconds, 0 if never.
    """

    asked: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)

    def grow(self, plugin: str, count: int) -> int:
        """Take a reading; return by how much all counts of the plugin together have grown."""
        held = self.counts.setdefault(plugin, [])
        before = max((one for one in held if one <= count), default=None)
        if before is not None:
            held.remove(before)
        elif len(held) >= MAX_SAME_START:
            return 0
        held.append(count)  # a lower count than any is another process's: none counts backwards
        return count - (before or 0)


class Dropped:
    """A thread that asks for the API server's metrics (`fetch`) and records increases.

    `fetch` raises RuntimeError or OSError when it is refused or cannot be answered.
    """

    def __init__(self, fetch: Callable[[], str], recorder: Recorder, path: Path, cluster: str) -> None:
        self._fetch = fetch
        self._recorder = recorder
        self._path = path
        self._cluster = cluster
        self._servers = _load(path)
        self.problem = ""  # why it is not known what was dropped; "" while it is
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-dropped", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def ask(self) -> None:
        """Ask once, and record what was dropped since the last time."""
        started, counts = read_metrics(self._fetch())
        now = time.time_ns()
        server = deepcopy(self._servers.get(started, Server()))  # as it was, if the gaps cannot be stored
        begin = server.asked or int(float(started) * SECOND)
        grown = {plugin: server.grow(plugin, count) for plugin, count in counts.items()}
        grown = {plugin: amount for plugin, amount in grown.items() if amount > 0}
        self._recorder.record([self._gap(plugin, begin, now, amount) for plugin, amount in grown.items()])
        for plugin, amount in grown.items():
            metrics.DROPPED.labels(plugin).inc(amount)
        server.asked = now
        self._servers[started] = server
        _save(self._path, self._servers)

    def _gap(self, plugin: str, begin: int, now: int, amount: int) -> Gap:
        detail = f"by the API server's plugin {plugin}"
        who = Identity(cluster=self._cluster)
        return Gap("audit", "audit_dropped", begin, now, amount, "events", who, detail)

    def _run(self) -> None:
        while True:
            self._try()
            if self._stopping.wait(INTERVAL_SECONDS):
                return

    def _try(self) -> None:
        """Ask; tell a problem once, not each time."""
        try:
            self.ask()
        except (RuntimeError, OSError, ValueError) as error:
            problem = error.brief if isinstance(error, StoreError) else str(error)
        else:
            problem = ""
        if problem != self.problem:
            self.problem = problem
            if problem:
                _log.warning("what the API server drops of its audit events is not known: %s", problem)
            else:
                _log.info("what the API server drops of its audit events is known again")


def read_metrics(text: str) -> tuple[str, dict[str, int]]:
    """(start time of the process as written, dropped events by plugin); ValueError if they are not there."""
    lines = [line for line in text.splitlines() if line.startswith(WANTED)]
    started = ""
    counts: dict[str, int] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.name == START:
                started = repr(sample.value)
            elif sample.name == ERRORS:
                counts[sample.labels.get("plugin", "")] = int(sample.value)
    if not started:
        raise ValueError(f"the API server's metrics have no {START}")
    return started, counts


def _load(path: Path) -> LRU[str, Server]:
    servers: LRU[str, Server] = LRU(MAX_SERVERS)
    if path.exists():
        for started, kept in orjson.loads(path.read_bytes()).items():
            counts = {plugin: _listed(count) for plugin, count in kept["counts"].items()}
            servers[started] = Server(kept["asked"], counts)
    return servers


def _listed(count: int | list[int]) -> list[int]:
    """As it is kept now; once it was one number."""
    return count if isinstance(count, list) else [count]


def _save(path: Path, servers: LRU[str, Server]) -> None:
    write_private(path, orjson.dumps({started: asdict(one) for started, one in servers.items()}))
