"""Alerts on agents that speak for another node than the one their token was made for.

The first claim is written at once; repeats of the same pair of nodes become one alert a minute with
their count. Names are bounded: what one agent claims beyond so many nodes is one alert, too.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import orjson

from keelwatch.detect.ulid import new_ulid
from keelwatch.ingest.auth import Principal
from keelwatch.ingest.recorder import Recorder
from keelwatch.kit.text import printable
from keelwatch.model.identity import Identity
from keelwatch.store.database import StoreError

_log = logging.getLogger(__name__)

RULE = "Agent Speaks for Another Node"
PRIORITY = "Critical"
TAGS = ("hub", "mitre_defense_evasion", "T1036", "T1565.001", "pci_10.3.2", "pci_10.2.1.4")
REPEAT_SECONDS = 60.0
MOST_CLAIMS = 20
"""Names that one agent may claim in a minute, each with an alert of its own."""
MOST_PAIRS = 5_000
OTHERS = "(many others)"


@dataclass(slots=True)
class _Claim:
    who: Principal
    claimed: str
    address: str
    what: str
    first: int  # nanoseconds since the epoch
    written: float = 0.0  # monotonic seconds; 0 before the first alert
    pending: int = 0


class Impostors:
    """A thread writes; `claimed` only notes. `cluster` is that of the records."""

    def __init__(self, recorder: Recorder, cluster: str) -> None:
        self._recorder = recorder
        self._cluster = cluster
        self._lock = threading.Lock()
        self._claims: dict[tuple[str, str], _Claim] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="impostors", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is not written yet, then end."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def claimed(self, who: Principal, node: str, address: str, what: str) -> None:
        """Note that `who` sent `what` as if it were of `node`."""
        with self._lock:
            key = (who.node, node)
            if key not in self._claims:
                names = sum(mine == who.node for mine, _ in self._claims)
                if names >= MOST_CLAIMS or len(self._claims) >= MOST_PAIRS:
                    key = (who.node, OTHERS)
            claim = self._claims.get(key)
            if claim is None:
                claim = self._claims[key] = _Claim(who, key[1], address, what, time.time_ns())
            claim.pending += 1
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(REPEAT_SECONDS / 4)
            self._wake.clear()
            self.flush(everything=self._stopping)

    def flush(self, *, everything: bool = False) -> None:
        """Write what is due: new claims, repeats of a minute; forget what did not come again."""
        now = time.monotonic()
        with self._lock:
            due = [
                claim for claim in self._claims.values() if claim.pending and (everything or _due(claim, now))
            ]
            counts = [claim.pending for claim in due]
        rows = [self._row(claim, count) for claim, count in zip(due, counts, strict=True)]
        try:
            self._recorder.write("alerts", rows)
        except StoreError as error:
            _log.warning("alerts on impostors wait: %s", error.brief)
            return
        with self._lock:
            for claim, count in zip(due, counts, strict=True):
                claim.pending -= count
                claim.written = now
            self._claims = {
                key: claim for key, claim in self._claims.items() if claim.pending or not _due(claim, now)
            }

    def _row(self, claim: _Claim, count: int) -> dict[str, Any]:
        who, now = claim.who, time.time_ns()
        claimed, what = printable(claim.claimed)[:253], printable(claim.what)[:300]
        _log.warning("agent of node %s (%s) spoke for node %s: %s", who.node, claim.address, claimed, what)
        detail = {
            "node": who.node, "claimed_node": claimed, "what": what, "address": claim.address,
            "service_account": who.name, "pod_uid": who.pod_uid,
        }  # fmt: skip
        return {
            **_identity(who, self._cluster).columns(),
            "time": now,
            "id": new_ulid(now),
            "rule": RULE,
            "priority": PRIORITY,
            "tags": list(TAGS),
            "output": f"The agent of node {who.node} (pod {who.namespace}/{who.pod}, {claim.address}) "
            f"spoke for node {claimed}; it was refused ({what})",
            "source": "hub",
            "count": count,
            "kind": "impostor",
            "detail": orjson.dumps(detail).decode(),
        }


def _due(claim: _Claim, now: float) -> bool:
    return not claim.written or now - claim.written >= REPEAT_SECONDS


def _identity(who: Principal, cluster: str) -> Identity:
    """The agent's own pod: it is the one that has to be looked at."""
    return Identity(
        cluster=cluster, node=who.node, namespace=who.namespace, pod=who.pod, pod_uid=who.pod_uid,
        identity_source="cluster=config node=kubernetes namespace=kubernetes pod=kubernetes",
    )  # fmt: skip
