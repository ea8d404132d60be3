"""An access session: a request that entered a container, whom it was by, and the trees that it made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from keelwatch.access.entry import Entry
from keelwatch.access.match import Match
from keelwatch.access.request import Request
from keelwatch.model.identity import IDENTITY_COLUMNS

Row = dict[str, Any]
MAX_CANDIDATES = 20
MAX_TREES = 200
OPEN, ENDED = "open", "ended"


@dataclass(frozen=True, slots=True)
class Deeds:
    """What was seen of a session's trees. `last` is the time of the last event, ns since the epoch.

    `over` are the trees that were seen to end.
    """

    events: int = 0
    alerts: int = 0
    files: int = 0
    last: int = 0
    over: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Session:
    """`requests` are the audit ids of all requests that belong to it; `until` ends what is counted.

    `lasting` are those of its trees that the session made and whose container has not ended.
    Times are ns since the epoch, 0 where not known (yet).
    """

    request: Request
    match: Match
    ended: int = 0
    until: int = 0
    trees: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    place: Mapping[str, Any] = field(default_factory=dict, compare=False)
    deeds: Deeds = Deeds()

    @property
    def state(self) -> str:
        """Whether the user can still be at it."""
        return ENDED if self.ended else OPEN

    @property
    def running(self) -> int:
        """How many of its trees were not seen to end; what was there before the session is not counted."""
        return len(set(self.lasting) - self.deeds.over)

    def columns(self) -> Row:
        """One row of `access`, but for its version."""
        request, match, chosen = self.request, self.match, self.match.chosen
        return {
            **self._identity(),
            "time": request.received,
            "id": request.id,
            "kind": request.kind,
            "state": self.state,
            "user": request.user,
            "groups": list(request.groups),
            "impersonated_user": request.impersonated,
            "source_ips": list(request.source_ips),
            "user_agent": request.user_agent,
            "verb": request.verb,
            "code": request.code,
            "through": request.through,
            "command": request.command,
            "tty": int(request.tty),
            "stdin": int(request.stdin),
            "debug_image": request.image,
            "target_container": request.target,
            "started": request.started,
            "ended": self.ended,
            "confidence": match.confidence,
            "reason": match.reason,
            "entry_pid": chosen.pid if chosen else 0,
            "entry_start": chosen.start if chosen else 0,
            "trees": list(self.trees[:MAX_TREES]),
            "until": self.until,
            "candidates": orjson.dumps([_shown(one) for one in match.candidates[:MAX_CANDIDATES]]).decode(),
            "requests": list(self.requests),
            "events": self.deeds.events,
            "alerts": self.deeds.alerts,
            "files": self.deeds.files,
            "last_event": self.deeds.last,
            "running": self.running,
        }

    def _identity(self) -> Row:
        """The container's, as its records have it; else what the request names."""
        known = {name: self.place[name] for name in IDENTITY_COLUMNS if name in self.place}
        asked = self.request.identity
        found = {name: asked[name] for name in IDENTITY_COLUMNS if name in asked} | known
        return found | {
            "cluster": found.get("cluster") or self.request.cluster,
            "namespace": self.request.namespace,
            "pod": self.request.pod,
            "container": found.get("container") or self.request.container,
        }


COMPARED: tuple[str, ...] = (
    "state", "ended", "started", "confidence", "reason", "trees", "until", "requests", "events", "alerts",
    "files", "last_event", "running", "container", "container_id", "node", "workload", "user", "code",
)  # fmt: skip
"""The columns by which a session is another than what is stored of it."""


ESSENTIAL: tuple[str, ...] = ("state", "ended", "confidence", "trees", "requests")
"""Those that tell who did it; the others count on while a session is busy."""


def differs(row: Mapping[str, Any], stored: Mapping[str, Any], names: Iterable[str] = COMPARED) -> bool:
    """Whether a row says something that the stored one does not."""
    return any(row.get(name) != stored.get(name) for name in names)


def _shown(entry: Entry) -> Row:
    hidden = ("identity", "main", "truncated", "script", "ahead")
    names = [one.name for one in fields(Entry) if one.name not in hidden]
    return {name: getattr(entry, name) for name in names}
