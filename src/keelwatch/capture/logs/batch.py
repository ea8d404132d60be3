"""What the follower is told to read, and what it hands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity


@dataclass(frozen=True, slots=True)
class LogTarget:
    """A container's log. `path` is the file being written (…/0.log); rotated ones lie beside it.

    `stream_id` names the stream for ever: the container id is a good choice. `format` is one of
    model.logchunk.LINE_FORMATS. Before `not_before` (time.monotonic) it is opened, but not read.
    """

    stream_id: str
    path: Path
    format: str
    identity: Identity
    not_before: float = 0.0


@dataclass(slots=True)
class LogBatch:
    """Chunks (RowBinary rows of model.logchunk) of one day, with `lines` lines in all."""

    day: str
    lines: int = 0
    chunks: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class LogRound:
    """One round of reading. All of it becomes durable together, or is kept and tried again.

    `checkpoints` are the positions that are true then; None means that a stream is forgotten.
    `size` counts the bytes read.
    """

    batches: list[LogBatch] = field(default_factory=list)
    checkpoints: dict[str, Any] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    size: int = 0

    def __bool__(self) -> bool:
        return bool(self.batches or self.checkpoints or self.gaps)
