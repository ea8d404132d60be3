"""A draft: rows of one table and one day, ready to be frozen into a batch but without a number yet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draft:
    """`raw` is uncompressed, in the layout that `format` names (model.batch.FORMATS)."""

    table: str
    day: str
    rows: int
    format: str
    raw: bytes
