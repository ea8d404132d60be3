"""The cluster over time: changes become rows of `objects` and `lifecycle`, each once.

What was written last is known again after a restart by its content's hash, so a restart writes only
what changed meanwhile; what was deleted meanwhile is closed with the identity it had.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from keelwatch.inventory import metrics
from keelwatch.inventory.lifecycle import happened
from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.rows import COLUMNS, Resolved, Row, content_hash, from_row, to_row
from keelwatch.kit.worker import Worker
from keelwatch.store.database import Database, StoreError

log = logging.getLogger(__name__)

INTERVAL = 0.5
"""Seconds that changes are gathered: an insertion costs the store tens of milliseconds."""
MAX_HELD = 50_000
"""Changes held while the store cannot be written; beyond, the watches wait."""
BATCH = 5_000
_LOOKUP = 500
_PAUSE = 2.0

Write = Callable[[str, Sequence[Row]], None]
Resolve = Callable[[KubeObject], Resolved]


@dataclass(slots=True)
class Note:
    """One change to be written. `restored`: the version before it is only in the store."""

    event: str
    uid: str
    time: int
    old: KubeObject | None
    new: KubeObject | None
    restored: bool = False
    told: bool = True  # whether lifecycle records are made of it
    resolved: Resolved | None = None  # as it was stored, of what is gone


@dataclass(slots=True)
class _Last:
    """What the store has of living objects at the start: uid → (kind, hash)."""

    hashes: dict[str, tuple[str, str]] = field(default_factory=dict)
    empty: bool = True


class History:
    """`note` may be called by several threads; rows are written by one. `resolve` is asked when they are."""

    def __init__(self, cluster: str, database: Database, write: Write, resolve: Resolve) -> None:
        self._cluster = cluster
        self._database = database
        self._write = write
        self._resolve = resolve
        self._last = _Last()
        self._doubted: dict[str, str] = {}  # uid → hash in the store, of what seemed to have changed since
        self._held: list[Note] = []
        self._pending: list[tuple[str, list[Row]]] = []
        self._room = threading.Condition()
        self._worker = Worker("history", self._step, INTERVAL)
        self.problem = ""
        self.forgotten: Callable[[str], None] = lambda _: None

    def start(self) -> None:
        """Learn what was written last, and begin to write."""
        self._last = self._restore()
        self._worker.start()

    def stop(self) -> None:
        """Write what is held, then end."""
        self._worker.stop()
        try:
            while self._held or self._pending:
                self._flush()
        except StoreError as error:
            log.warning("%d changes of the inventory could not be written: %s", len(self._held), error.brief)

    def came(self, new: KubeObject, now: int) -> None:
        """An object that was not in memory: new, or known from before the hub's start."""
        kind_hash = self._last.hashes.pop(new.uid, None)
        if kind_hash is None:
            first = self._last.empty
            self._add(Note("found" if first else "added", new.uid, now, None, new, told=not first))
        elif kind_hash[1] != content_hash(new, self._resolve(new)):
            self._doubted[new.uid] = kind_hash[1]
            self._add(Note("changed", new.uid, now, None, new, restored=True))

    def changed(self, old: KubeObject, new: KubeObject, now: int) -> None:
        """A version that matters."""
        self._add(Note("changed", new.uid, now, old, new))

    def went(self, old: KubeObject, now: int, *, late: bool = False) -> None:
        """An object was deleted; `late`: some time ago, noticed only now."""
        self._add(Note("gone" if late else "deleted", old.uid, now, old, None))

    def listed(self, kind: str, now: int) -> None:
        """All objects of the kind came: what the store has besides was deleted while nobody watched."""
        known = list(self._last.hashes.items())  # a copy: other kinds' threads take theirs out
        gone = [uid for uid, (of_kind, _) in known if of_kind == kind]
        for uid in gone:
            del self._last.hashes[uid]
            self._add(Note("gone", uid, now, None, None, restored=True))

    def settled(self) -> None:
        """Everything was listed once: from now on, what comes is new."""
        self._last.empty = False

    def _add(self, note: Note) -> None:
        with self._room:
            self._room.wait_for(lambda: len(self._held) < MAX_HELD or self._worker.closing.is_set())
            self._held.append(note)

    def _step(self) -> bool:
        try:
            wrote = self._flush()
        except StoreError as error:
            if not self.problem:
                log.warning("the inventory's history waits for the store: %s", error.brief)
            self.problem = error.brief
            self._worker.closing.wait(_PAUSE)
            return False
        self.problem = ""
        return wrote

    def _flush(self) -> bool:
        """Write what waits, some of it; what cannot be written stays, and the worker tries again."""
        if not self._pending:
            self._take()
        wrote = bool(self._pending)
        while self._pending:
            table, rows = self._pending[0]
            self._write(table, rows)
            metrics.ROWS.labels(table).inc(len(rows))
            self._pending.pop(0)
        return wrote

    def _take(self) -> None:
        """Make rows of some of what is held, which stays until the store has said what it knows of it."""
        with self._room:
            notes = self._held[:BATCH]
        before = self._load({note.uid for note in notes if note.restored})
        with self._room:
            del self._held[: len(notes)]
            self._room.notify_all()
        self._pending = self._rows(notes, before)
        for note in notes:
            if note.new is None:
                self.forgotten(note.uid)

    def _rows(
        self, notes: list[Note], before: Mapping[str, tuple[KubeObject, Resolved]]
    ) -> list[tuple[str, list[Row]]]:
        for note in notes:
            if note.restored:
                note.old, stored = before.get(note.uid, (None, None))
                note.resolved = stored if note.new is None else None
        known = [note for note in notes if note.new or note.old]
        objects = [row for note in joined(known) if not self._is_stored(row := self._row(note))]
        lifecycle = [row for note in known if note.told for row in self._happened(note)]
        return [(table, rows) for table, rows in (("objects", objects), ("lifecycle", lifecycle)) if rows]

    def _row(self, note: Note) -> Row:
        one = note.new or note.old
        assert one is not None  # noqa: S101  # _rows left the others out
        return to_row(note.event, note.time, self._cluster, one, note.resolved or self._resolve(one))

    def _is_stored(self, row: Row) -> bool:
        """Whether the store has it: it seemed to have changed as long as its owner or team was not listed."""
        uid = row["uid"]
        if row["event"] == "changed" and self._doubted.get(uid) == row["content_hash"]:
            return True
        self._doubted.pop(uid, None)
        return False

    def _happened(self, note: Note) -> list[Row]:
        one = note.new or note.old
        assert one is not None  # noqa: S101  # as above
        resolved = note.resolved or self._resolve(one)
        return happened(self._cluster, note.old, note.new, resolved, note.time)

    def _restore(self) -> _Last:
        rows = self._database.lookup(
            "SELECT kind, uid, argMax(content_hash, (time, seq, row)) AS content_hash FROM objects "
            "WHERE cluster = {cluster:String} GROUP BY kind, uid "
            "HAVING argMax(event, (time, seq, row)) NOT IN ('deleted', 'gone')",
            {"cluster": self._cluster},
        )
        hashes = {str(row["uid"]): (str(row["kind"]), str(row["content_hash"])) for row in rows}
        return _Last(hashes, empty=not hashes)

    def _load(self, uids: Iterable[str]) -> dict[str, tuple[KubeObject, Resolved]]:
        found: dict[str, tuple[KubeObject, Resolved]] = {}
        waiting = iter(sorted(uids))
        while some := list(islice(waiting, _LOOKUP)):
            for row in self._database.lookup(_LAST_VERSIONS, {"uids": some, "cluster": self._cluster}):
                found[str(row["uid"])] = from_row(row), _resolved(row)
        return found


_RESOLVED = ("workload_kind", "workload", "team", "team_source")
_LAST_VERSIONS = (
    f"SELECT {', '.join((*COLUMNS, *_RESOLVED))}, toUnixTimestamp64Nano(created) AS created_ns FROM objects "  # noqa: S608  # names of ours
    "WHERE cluster = {cluster:String} AND uid IN {uids:Array(String)} "
    "ORDER BY time DESC, seq DESC, row DESC LIMIT 1 BY uid"
)


def _resolved(row: Mapping[str, Any]) -> Resolved:
    return Resolved(row["workload_kind"], row["workload"], row["team"], row["team_source"])


def joined(notes: list[Note]) -> list[Note]:
    """Versions that followed each other in a moment are one record, unless one alone shows a container."""
    kept: list[Note] = []
    last: dict[str, int] = {}
    for note in notes:
        at = last.get(note.uid)
        if at is not None and note.new is not None and _holds(note.new, kept[at].new):
            kept[at] = Note(kept[at].event, note.uid, note.time, kept[at].old, note.new)
            continue
        last[note.uid] = len(kept)
        kept.append(note)
    return kept


def _holds(new: KubeObject, old: KubeObject | None) -> bool:
    """Whether a version shows all container runs that an earlier one shows."""
    if old is None:
        return False
    runs: set[Any] = {one.container_id for one in old.containers if one.container_id}
    return runs <= {run for one in new.containers for run in (one.container_id, one.previous_id)}
