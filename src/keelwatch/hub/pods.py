"""Which pod a name means, for audit events: as the history of objects has it, also when the pod is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from keelwatch.kit.lru import LRU
from keelwatch.model.identity import Identity
from keelwatch.store.database import Database

MAX_PODS = 10_000
KNOWN_SECONDS = 30.0
UNKNOWN_SECONDS = 2.0
"""The inventory may hear of a new pod a little later than the audit log does."""
_FIELDS = ("node", "workload_kind", "workload", "revision", "team")
_SQL = (
    f"SELECT uid, {', '.join(_FIELDS)} FROM objects WHERE kind = 'Pod' AND namespace = {{namespace:String}} "  # noqa: S608  # names of ours
    "AND name = {name:String} ORDER BY time DESC LIMIT 1"
)


class Pods:
    """Call it with namespace and name. One thread uses it."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: LRU[tuple[str, str], tuple[float, Identity | None]] = LRU(MAX_PODS)

    def __call__(self, namespace: str, name: str) -> Identity | None:
        """The pod's identity, None where the inventory never saw it."""
        until, found = self._known.get((namespace, name), (0.0, None))
        if self._clock() < until:
            return found
        found = self._ask(namespace, name)
        fresh = KNOWN_SECONDS if found else UNKNOWN_SECONDS
        self._known[namespace, name] = (self._clock() + fresh, found)
        return found

    def _ask(self, namespace: str, name: str) -> Identity | None:
        rows = self._database.lookup(_SQL, {"namespace": namespace, "name": name})
        if not rows:
            return None
        values = {field: str(rows[0][field]) for field in _FIELDS if rows[0][field]}
        source = " ".join(f"{field}=kubernetes" for field in ("pod_uid", *values))
        return Identity(
            namespace=namespace,
            pod=name,
            pod_uid=str(rows[0]["uid"]),
            identity_source=source,
            **values,  # type: ignore[arg-type]  # all of them are texts
        )
