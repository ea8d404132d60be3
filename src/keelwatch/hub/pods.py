"""Which pod a name meant at a time, for audit events: by the cluster as it is, else by its history.

Audit logs may be read long after, and a StatefulSet gives the same name to one pod after the other, so
no answer holds for a name alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from keelwatch.audit.identity import PodAt
from keelwatch.inventory.lives import SECOND, Life, life_at, life_created, spans
from keelwatch.kit import clock
from keelwatch.kit.lru import LRU
from keelwatch.model.identity import Identity
from keelwatch.store.database import Database

MAX_PODS = 10_000
KNOWN_SECONDS = 30.0
UNKNOWN_SECONDS = 2.0
"""The inventory may hear of a new pod a little later than the audit log does."""
RECENT = 60 * SECOND
"""For so long a pod counts as what it is now; behind that the history tells its owner and team of then."""
SETTLED = 10 * SECOND
"""The history of the last moments may not be written yet, so nothing of it is remembered."""
NOTICED = 2 * SECOND
"""A version of a pod is dated by when the hub noticed it, which may be behind the request."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_FIELDS = ("workload_kind", "workload", "revision", "team")
# Of each pod the version at that time: the last one before, else the first one behind. A node never changes.
_AT = "toUnixTimestamp64Nano(time)"
_ORDER = f"({_AT} <= {{limit:Int64}}, if({_AT} <= {{limit:Int64}}, {_AT}, -{_AT}), seq, row)"
_SQL = (
    "SELECT uid, toUnixTimestamp64Nano(min(created)) AS created_at, max(node) AS pod_node, "  # noqa: S608  # names of ours
    f"maxIf({_AT}, event IN ('deleted', 'gone')) AS ended, "
    f"maxIf({_AT}, {_AT} <= {{limit:Int64}}) AS since, minIf({_AT}, {_AT} > {{limit:Int64}}) AS until, "
    f"{', '.join(f'argMax({field}, {_ORDER}) AS of_{field}' for field in _FIELDS)} "
    "FROM objects WHERE kind = 'Pod' AND namespace = {namespace:String} AND name = {name:String} "
    "AND cluster = {cluster:String} GROUP BY uid "
    "ORDER BY abs(created_at - {time:Int64}), uid LIMIT 4 BY created_at > {time:Int64}"
)

Row = Mapping[str, Any]
Lives = Callable[[str, str], list[Life]]
"""(namespace, name) → the pods of that name that the inventory has in memory."""


class _Answer(NamedTuple):
    """`life` is right for all times from `begin` to before `end`, and is believed until `expires`."""

    begin: int
    end: int
    expires: float
    life: Life | None


_NO_ANSWER = _Answer(0, 0, 0.0, None)


def unknown(_namespace: str, _name: str) -> list[Life]:
    """A Lives without an inventory."""
    return []


class Pods:
    """An Identify. One thread uses it; `monotonic` is seconds, `now` nanoseconds since the epoch."""

    def __init__(
        self,
        database: Database,
        cluster: str,
        living: Lives = unknown,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = clock.now,
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._living = living
        self._monotonic = monotonic
        self._now = now
        self._known: LRU[tuple[str, str], _Answer] = LRU(MAX_PODS)

    def __call__(self, pod: PodAt) -> Identity | None:
        """The pod's identity, None where the inventory never saw it; raise StoreError."""
        if not _NAME.fullmatch(pod.name) or not _NAME.fullmatch(pod.namespace):
            return None  # no pod is called so; clients may ask for anything
        life = self._of_now(pod) or self._of_then(pod)
        if life is None and pod.uid:
            life = Life(pod.uid, 0)
        return _identity(pod, life) if life else None

    def _of_now(self, pod: PodAt) -> Life | None:
        """What the inventory has in memory, if it was no other pod then."""
        lives = self._living(pod.namespace, pod.name)
        first = min((life.created for life in lives), default=0)
        if not lives or pod.time < max(first, self._now() - RECENT):
            return None
        return _chosen(lives, pod)

    def _of_then(self, pod: PodAt) -> Life | None:
        named = (pod.namespace, pod.name)
        known = self._known.get(named, _NO_ANSWER)
        plain = not pod.uid and not pod.creates
        if plain and known.begin <= pod.time < known.end and self._monotonic() < known.expires:
            return known.life
        rows = self._ask(pod)
        lives = self._with_living(pod, [_life(row) for row in rows])
        life = _chosen(lives, pod)
        if plain and (answer := self._answer(rows, lives, life)):
            self._known[named] = answer
        return life

    def _ask(self, pod: PodAt) -> Sequence[Row]:
        named = {"namespace": pod.namespace, "name": pod.name, "cluster": self._cluster}
        return self._database.lookup(_SQL, named | {"time": pod.time, "limit": pod.time + NOTICED})

    def _with_living(self, pod: PodAt, stored: list[Life]) -> list[Life]:
        """The history may be behind: pods that it does not have yet, and ends."""
        living = {life.uid: life for life in self._living(pod.namespace, pod.name)}
        mended = [_ended_as(life, living.pop(life.uid, life)) for life in stored]
        return [*mended, *living.values()]

    def _answer(self, rows: Sequence[Row], lives: list[Life], life: Life | None) -> _Answer | None:
        """For which times an answer holds: while the pod had the name, and was as it is told."""
        if not lives:
            return _Answer(0, self._now(), self._monotonic() + UNKNOWN_SECONDS, None)
        row = next((row for row in rows if life and row["uid"] == life.uid), None)
        if life is None or row is None:
            return None
        begin, end = next((begin, end) for begin, end, one in spans(lives) if one == life)
        begin = max(begin, int(row["since"]) - NOTICED)
        until = int(row["until"]) - NOTICED if int(row["until"]) else end
        end = min(end, until, life.ended or end, self._now() - SETTLED)
        return _Answer(begin, end, self._monotonic() + KNOWN_SECONDS, life)


def _chosen(lives: list[Life], pod: PodAt) -> Life | None:
    if pod.uid:
        return next((life for life in lives if life.uid == pod.uid), None)
    return life_created(lives, pod.time) if pod.creates else life_at(lives, pod.time)


def _ended_as(life: Life, other: Life) -> Life:
    return replace(life, ended=life.ended or other.ended)


def _life(row: Row) -> Life:
    of = {field: str(row[f"of_{field}"]) for field in _FIELDS}
    created, ended = int(row["created_at"]), int(row["ended"])
    return Life(str(row["uid"]), created, ended, str(row["pod_node"]), **of)


def _identity(pod: PodAt, life: Life) -> Identity:
    values = {name: value for name in ("node", *_FIELDS) if (value := getattr(life, name))}
    source = " ".join(f"{name}=kubernetes" for name in ("pod_uid", *values))
    return Identity(namespace=pod.namespace, pod=pod.name, pod_uid=life.uid, identity_source=source, **values)
