"""A draft: rows of one table and one day, ready to be frozen into a batch but without a number yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draft:
    """`raw` is uncompressed, in the layout that `format` names (model.batch.FORMATS).

    Large ones may come in pieces, so that they need not be copied into one.
    """

    table: str
    day: str
    rows: int
    format: str
    raw: bytes | Sequence[bytes]

    @property
    def pieces(self) -> Sequence[bytes]:
        """`raw` in pieces."""
        return (self.raw,) if isinstance(self.raw, bytes) else self.raw

    @property
    def size(self) -> int:
        """Bytes of `raw`."""
        return sum(map(len, self.pieces))
