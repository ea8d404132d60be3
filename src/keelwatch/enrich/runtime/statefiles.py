"""Reads the runtimes' own state files: bounded, and empty rather than an error when they are bad."""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

MAX_FILE = 4 << 20


def read_text(path: Path, limit: int = MAX_FILE) -> str:
    """The file's text, "" when it cannot be read or is larger than `limit` bytes."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError:
        return ""
    return "" if len(raw) > limit else raw.decode("utf-8", "backslashreplace")


def read_json(path: Path) -> dict[str, Any]:
    """The file's JSON object, {} when there is none."""
    return json_object(read_text(path))


def json_object(text: str) -> dict[str, Any]:
    """`text` as a JSON object, {} when it is not one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_toml(path: Path) -> dict[str, Any]:
    """The file's TOML table, {} when there is none."""
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError):
        return {}


def table(value: dict[str, Any], key: str) -> dict[str, Any]:
    """`value[key]` when it is an object, else {}."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def text(value: dict[str, Any], key: str) -> str:
    """`value[key]` when it is a string, else ""."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def number(value: object) -> int:
    """A decimal number in a file or a label, 0 when it is none."""
    try:
        return int(str(value).strip()[:20])
    except ValueError:
        return 0


def u32(value: object) -> int:
    """A decimal number as the wire and the store keep counts: cut to what 32 bits hold."""
    return max(0, min(number(value), 0xFFFFFFFF))


def nanoseconds(rfc3339: str) -> int:
    """Nanoseconds since the epoch; 0 when the text is no time (Go writes year 1 for "never")."""
    whole, _, rest = rfc3339.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :] if rest else ""
    try:
        moment = datetime.fromisoformat((whole + zone).replace("Z", "+00:00"))
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError, OSError):
        return 0
    return max(0, seconds * 1_000_000_000 + int(digits[:9].ljust(9, "0") or 0))
