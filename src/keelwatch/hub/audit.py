"""Audit events as a part of the hub: their writer, the files that are read, and what was dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keelwatch.audit.dropped import Dropped
from keelwatch.audit.follow import Follower
from keelwatch.audit.writer import AuditSettings, AuditWriter
from keelwatch.ingest.recorder import Recorder
from keelwatch.store.database import Database

FOLDER = "audit"


@dataclass(frozen=True, slots=True)
class AuditSources:
    """`files` are audit logs to read; `metrics` asks the API server for its metrics (None: there is none)."""

    files: Sequence[Path] = ()
    metrics: Callable[[], str] | None = None


class AuditService:
    """`writer` is what the webhook's route hands events to."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        data: Path,
        settings: AuditSettings,
        sources: AuditSources,
    ) -> None:
        folder = data / FOLDER
        cluster = settings.cluster
        self.writer = AuditWriter(database, recorder, settings)
        self.followers = [Follower(file, self.writer, recorder, folder, cluster) for file in sources.files]
        fetch = sources.metrics
        self.dropped = Dropped(fetch, recorder, folder / "dropped.json", cluster) if fetch else None

    def start(self) -> None:
        """Begin to take events."""
        self.writer.start()
        for follower in self.followers:
            follower.start()
        if self.dropped is not None:
            self.dropped.start()

    def stop(self) -> None:
        """End with all stored that was taken."""
        for follower in self.followers:
            follower.stop()
        if self.dropped is not None:
            self.dropped.stop()
        self.writer.stop()

    def problems(self) -> list[str]:
        """What is wrong with it: files that cannot be read, an API server that may not be asked."""
        problems = [f"audit log {one.path}: {one.problem}" for one in self.followers if one.problem]
        if self.dropped is not None and self.dropped.problem:
            problems.append(f"the API server's metrics: {self.dropped.problem}")
        return problems
