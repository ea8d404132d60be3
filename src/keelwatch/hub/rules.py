"""The rules that the hub itself applies (to audit events), and what is wrong with them anywhere.

A ConfigMap changes while the hub runs. Files with a mistake change nothing; that is counted, shown by
`keelwatch status` and recorded as `rules_refused`, as agents do it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
from prometheus_client import Counter, Gauge

from keelwatch.detect import RuleSet
from keelwatch.detect.reload import LOADED, Change, RuleFiles, brief
from keelwatch.ingest.recorder import Recorder
from keelwatch.kit.worker import Worker
from keelwatch.model.identity import Identity
from keelwatch.query.status import RULES_REFUSED
from keelwatch.store.database import Database, StoreError

RULES = Gauge("keelwatch_hub_rules", "Rules that are loaded")
PROBLEM = Gauge("keelwatch_hub_rules_problem", "1 while changed rule files are refused")
RELOADS = Counter("keelwatch_hub_rules_reloads_total", "Times that changed rule files were taken up")
REFUSED = Counter("keelwatch_hub_rules_refused_total", "Times that changed rule files were refused")

_log = logging.getLogger(__name__)
INTERVAL = 2.0
_ASK_SECONDS = 5.0
_MOST_NODES = 5
"""Nodes named in a problem that many of them have."""
_MOST_PROBLEMS = 10
_Row = dict[str, Any]


class Rules:
    """A thread. Call it for the rules in force."""

    def __init__(self, files: RuleFiles, recorder: Recorder, cluster: str) -> None:
        self._files = files
        self._recorder = recorder
        self._cluster = cluster
        self._untold: list[_Row] = []
        self._worker = Worker("rules", self.look, INTERVAL)
        self._note(files.refusal())

    def __call__(self) -> RuleSet:
        """The rules in force now."""
        return self._files.rules

    def start(self) -> None:
        """Begin to watch the files."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def look(self) -> bool:
        """Take up the files if they have changed; return False, since the next look can wait."""
        self._note(self._files.look())
        self._record()
        return False

    def problems(self) -> list[str]:
        """What keeps the operator's rules from being in force."""
        problem = self._files.problem
        return [f"rules of the hub are not in force: {brief(problem)}"] if problem else []

    def _note(self, change: Change | None) -> None:
        RULES.set(len(self._files.rules.rules))
        PROBLEM.set(int(bool(self._files.problem)))
        if change is None:
            return
        (RELOADS if change.kind == LOADED else REFUSED).inc()
        self._untold.append(_row(change, self._cluster))

    def _record(self) -> None:
        try:
            self._recorder.write("lifecycle", self._untold)
        except StoreError as error:
            _log.warning("what became of changed rules is recorded later: %s", error.brief)
            return
        self._untold.clear()


def _row(change: Change, cluster: str) -> _Row:
    about = Identity(cluster=cluster, identity_source="cluster=config")
    return {
        **about.columns(),
        "time": time.time_ns(),
        "kind": change.kind,
        "labels": {},
        "detail": orjson.dumps({"source": "hub", **change.detail}).decode(),
    }


class AgentRules:
    """Which agents refuse the operator's rules, by their last word on it; the store is asked seldom."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._problems: list[str] = []

    def problems(self) -> list[str]:
        """One sentence for all agents with the same mistakes."""
        with self._lock:
            if self._clock() >= self._until:
                self._problems = refusals(self._database.lookup(RULES_REFUSED.sql))
                self._until = self._clock() + _ASK_SECONDS
            return list(self._problems)


def refusals(rows: list[_Row]) -> list[str]:
    """The problems that rows of `rules_refused` (`node`, `detail`) tell, those of the most nodes first."""
    nodes: dict[str, list[str]] = {}
    for row in rows:
        nodes.setdefault(brief(_errors(row["detail"])), []).append(str(row["node"]))
    found = sorted(nodes.items(), key=lambda one: (-len(one[1]), one[0]))
    told = [f"rules are not in force {_where(names)}: {errors}" for errors, names in found[:_MOST_PROBLEMS]]
    rest = len(found) - len(told)
    return [*told, f"rules are refused for {rest} more reasons"] if rest else told


def _errors(detail: str) -> str:
    """What an agent says is wrong. It is any text: the record came over the network."""
    try:
        errors = orjson.loads(detail)["errors"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        errors = None
    return errors if errors and isinstance(errors, str) else "no reason given"


def _where(nodes: list[str]) -> str:
    named = ", ".join(nodes[:_MOST_NODES])
    if len(nodes) == 1:
        return f"on node {named}"
    return f"on {len(nodes)} nodes ({named}{', …' if len(nodes) > _MOST_NODES else ''})"
