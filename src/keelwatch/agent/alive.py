"""Was the agent running? A file touched while it runs dates the gap after a stop or a crash."""

from __future__ import annotations

from pathlib import Path

from keelwatch.kit import clock
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity

NAME = "alive"
HELD = 1_000_000_000
"""How far back a kill reaches, in nanoseconds: events are in memory for a moment before they are durable."""


class Alive:
    """`path` holds the time, in nanoseconds since the epoch, of the last beat."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME

    def beat(self, held: float = 0.0) -> None:
        """Say that the agent runs now, with everything durable but of the last `held` seconds."""
        beside = self._path.with_suffix(".new")
        beside.write_text(str(clock.now() - int(held * 1e9)))
        beside.replace(self._path)

    def gap(self, host: Identity) -> Gap | None:
        """The interval since the last beat of an earlier run, or None on the first start.

        It begins a little before that beat: what was seen but not yet durable is lost, too.
        """
        try:
            before = self._last()
        except FileNotFoundError:
            return None
        now = clock.now()
        return Gap("all", "agent_down", min(before - HELD, now), now, 1, "intervals", host)

    def _last(self) -> int:
        """After a power cut the file may be empty; its own time is the next best."""
        try:
            return int(self._path.read_text("latin-1")[:32])
        except ValueError:
            return self._path.stat().st_mtime_ns
