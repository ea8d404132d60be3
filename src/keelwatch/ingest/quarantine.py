"""Batches that the engine cannot read, kept for whoever wants to know why."""

from __future__ import annotations

import shutil
from pathlib import Path

from keelwatch.ingest.unpack import Received

MAX_FILES = 1000
MAX_BYTES = 1 << 30


class Quarantine:
    """A folder with the body of each batch set aside, and beside it the reason.

    Bounded: what comes when it is full leaves only its reason behind.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def keep(self, batch: Received, reason: str) -> None:
        """Copy a batch and write down the reason."""
        name = self._name(batch.header.table, batch.spool, batch.seq)
        if self._has_room(batch.path.stat().st_size):
            shutil.copyfile(batch.path, self._folder / f"{name}.zst")
        (self._folder / f"{name}.txt").write_text(f"{batch.header}\n{reason}\n", encoding="utf-8")

    def has(self, table: str, spool: str, seq: int) -> bool:
        """Whether this batch was set aside."""
        return (self._folder / f"{self._name(table, spool, seq)}.txt").exists()

    def _has_room(self, size: int) -> bool:
        kept = [path.stat().st_size for path in self._folder.glob("*.zst")]
        return len(kept) < MAX_FILES and sum(kept) + size <= MAX_BYTES

    def _name(self, table: str, spool: str, seq: int) -> str:
        return f"{table}~{spool}~{seq}"
