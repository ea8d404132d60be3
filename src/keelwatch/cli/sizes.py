"""Sizes as people write them: `512M`, `1G`, `1GiB`, `1048576`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # generic for type checkers only: click below 8.2 has no such thing at run time
    _IntType = click.ParamType[int]
else:
    _IntType = click.ParamType

_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


class Size(_IntType):
    """Bytes; k, M, G and T are powers of 1024, with or without `iB` behind them."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes; a usage error for anything else."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,15})([kmgt]?)(?:i?b)?", str(value).strip().lower())
        if not found:
            self.fail(f"{value!r} is not a size; examples: 512M, 1G", param, ctx)
        return int(found[1]) << _UNITS[found[2]]


def readable(size: int) -> str:
    """`1536` → `1.5 KiB`."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
