"""Rows of new containers wait a moment for what the API server says of their pod.

All rows of a pod have the same deadline, counted from when the pod was first asked for, so a pod that
the API server is late with delays nothing twice. Behind it they go on as they are, marked.
"""

from __future__ import annotations

from typing import Any

from keelwatch.enrich.catalog import Catalog
from keelwatch.enrich.pod_identities import MARK, PodCache
from keelwatch.model.identity import IDENTITY_COLUMNS, Identity

Row = dict[str, Any]
BOUND = 3.0
"""Seconds that rows and log lines wait at most."""
ALERT_BOUND = 0.6
"""Seconds that an alert waits at most."""
LATE = "inventory=late"
"""Stands in `identity_source` of what could not wait any longer; queries complete it."""


class Completion:
    """Used by the outbox's thread."""

    def __init__(self, cache: PodCache, catalog: Catalog) -> None:
        self._cache = cache
        self._catalog = catalog

    @property
    def idle(self) -> bool:
        """Whether no row needs to be looked at."""
        return self._cache.state == "none"

    def settle(self, table: str, row: Row, *, last: bool = False) -> bool:
        """Complete a row if that is possible now; return whether it can go. `last`: it has to."""
        identity = _identity(row)
        if identity is None or MARK in identity.identity_source:
            return True
        if not identity.pod_uid:  # its container was not known yet when the row was made
            identity = self._catalog.known_identity(identity.container_id) or identity
        completed = self._cache.complete(identity)
        if MARK in completed.identity_source:
            row.update(completed.columns())
            return True
        if not last and self._cache.waits(identity, ALERT_BOUND if table == "alerts" else BOUND):
            return False
        if identity.pod_uid and not self.idle:
            row.update(identity.columns() | {"identity_source": f"{identity.identity_source} {LATE}"})
        return True


def _identity(row: Row) -> Identity | None:
    """The identity of a row about a container, or None for one about a node or of another kind."""
    if not row.get("container_id"):
        return None
    try:
        return Identity(**{name: row[name] for name in IDENTITY_COLUMNS})
    except KeyError:
        return None
