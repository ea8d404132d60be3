"""Figures: what was measured, in which unit, and against what. As a table, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import describe


@dataclass(frozen=True)
class Figure:
    """`ratio` is value ÷ what it was compared with, None where there is nothing to divide by.

    `must_be` is set where only one value is right: another one fails the run.
    """

    name: str
    value: float
    unit: str
    compared_with: str = ""
    ratio: float | None = None
    must_be: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "compared_with": self.compared_with,
            "ratio": self.ratio,
        }


def compared(name: str, value: float, unit: str, with_what: str, base: float) -> Figure:
    """A figure with its ratio to `base`, which is described by `with_what`."""
    return Figure(name, value, unit, f"{with_what}: {text(base)} {unit}", value / base if base else None)


def median(values: Sequence[float]) -> float:
    """The median; of an even number the lower one, so that it is a value that was measured."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of all values do not exceed (the nearest rank)."""
    ordered = sorted(values)
    rank = -int(-part * len(ordered) // 1)  # rounded up
    return ordered[max(0, min(len(ordered), rank) - 1)]


def text(value: float) -> str:
    """Three or four digits are all that a benchmark knows."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def show(name: str, figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(title=name, title_justify="left")
    for heading in ("figure", "value", "unit", "compared with", "ratio"):
        table.add_column(heading, justify="right" if heading in ("value", "ratio") else "left")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        wrong = figure.must_be is not None and figure.value != figure.must_be
        style = "bold red" if wrong else None
        row = (figure.name, text(figure.value), figure.unit, figure.compared_with, ratio)
        table.add_row(*row, style=style)
    Console().print(table)


def save(folder: Path, name: str, figures: Sequence[Figure], *, quick: bool) -> None:
    """Write folder/NAME.json; a quick run does not replace a real one."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": describe(),
        "figures": [figure.as_json() for figure in figures],
    }
    (folder / f"{name}{'.quick' if quick else ''}.json").write_text(json.dumps(record, indent=2) + "\n")
