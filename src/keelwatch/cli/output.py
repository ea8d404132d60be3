"""How records are printed: aligned columns, one JSON object a line, or YAML documents."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
import yaml
from rich.cells import cell_len, set_cell_size

from keelwatch.kit.text import one_line, printable

Record = dict[str, Any]

STYLES = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "strong-red": "1;31",
}
PRIORITY_STYLES = {
    "emergency": "strong-red",
    "alert": "strong-red",
    "critical": "strong-red",
    "error": "red",
    "warning": "yellow",
    "notice": "blue",
}
_WHEEL = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


def on_terminal() -> bool:
    """Whether people (or a terminal's escape sequences) read the output."""
    return sys.stdout.isatty()


def colours() -> bool:
    """Whether to colour: a terminal, no NO_COLOR (set to anything but ""), not TERM=dumb."""
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str) -> str:
    """Colour the text, where colours are wanted. `style` is a name of STYLES."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if style and colours() else text


def wheel(text: str, key: str) -> str:
    """Colour the text with one of ten colours that depends on `key` only, so a pod keeps its own."""
    if not colours():
        return text
    number = sum(byte * (at + 1) for at, byte in enumerate(key.encode("utf-8", "replace")))
    return f"\x1b[{_WHEEL[number % len(_WHEEL)]}m{text}\x1b[0m"


def safe(value: object) -> str:
    """Text for a line: nothing for a terminal to obey; in a pipe only line breaks are escaped."""
    return printable(value) if on_terminal() else one_line(value)


def width() -> int:
    """Columns to fill: COLUMNS or the terminal's; endless when piped."""
    if on_terminal():
        return shutil.get_terminal_size().columns
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) > 0 else sys.maxsize


def emit(line: str) -> None:
    """Write one line; surrogates that a file name smuggled in are escaped, never an exception."""
    sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], style: Callable[[int, str], str] | None = None
) -> None:
    """Print aligned columns; the last one is free and cut at the terminal's edge.

    `style(column, text)` names the style of a cell ("" for none).
    """
    cells = [[safe(value) for value in row] for row in rows]
    sizes = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    emit(styled(_row(list(heads), sizes, None), "bold"))
    for row in cells:
        emit(_row(row, sizes, style))


def _row(cells: list[str], sizes: list[int], style: Callable[[int, str], str] | None) -> str:
    room = width()
    parts: list[str] = []
    for at, cell in enumerate(cells):
        last = at == len(cells) - 1
        text = _cut(cell, max(room, 10)) if last else set_cell_size(cell, sizes[at])
        room -= sizes[at] + 2
        parts.append(styled(text, style(at, cell)) if style else text)
    return "  ".join(parts).rstrip()


def _cut(text: str, room: int) -> str:
    return text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"


def print_json(record: Any) -> None:
    """Print one object on one line; on a terminal in ASCII, so that nothing can hide in it."""
    emit(json.dumps(record) if on_terminal() else orjson.dumps(record).decode())


def print_yaml(record: Any) -> None:
    """Print one YAML document."""
    emit(
        yaml.safe_dump(record, sort_keys=False, allow_unicode=not on_terminal(), explicit_start=True).rstrip()
    )


def print_each(
    records: Iterable[Record], output: str, show: Callable[[Record], None], *, live: bool = False
) -> int:
    """Print records as they come, each at once where someone may be watching; return how many."""
    printer = {"json": print_json, "yaml": print_yaml}.get(output, show)
    count = 0
    live = live or on_terminal()
    for record in records:
        printer(record)
        count += 1
        if live:
            sys.stdout.flush()
    return count
