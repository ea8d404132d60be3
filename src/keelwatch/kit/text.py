"""Text from containers made safe for a terminal, and times as people read them.

A log line, a file name or a command line is written by whoever runs in the container: an escape
sequence in it could rewrite the analyst's screen, a line break could forge a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # C0 but the tab, DEL, C1
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # bidirectional controls, invisible marks
    "\ud800-\udfff]"
)
_LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")
_NAMED = {"\n": "\\n", "\r": "\\r"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def printable(value: object) -> str:
    """Return the value as text without anything a terminal could obey, each such thing escaped."""
    return _UNSAFE.sub(_escape, str(value))


def one_line(value: object) -> str:
    """Return the value as text on one line; other control characters stay (for files and pipes)."""
    return _LINE_BREAKS.sub(_escape, str(value))


def short_time(rfc3339: str, *, digits: int = 0) -> str:
    """`2026-11-23T16:12:57.123456789Z` → `2026-11-23 16:12:57` with `digits` of the fraction."""
    head, _, fraction = rfc3339.rstrip("Z").partition(".")
    text = head.replace("T", " ")
    return f"{text}.{fraction[:digits].ljust(digits, '0')}" if digits else text


def age(rfc3339: str, now: datetime | None = None) -> str:
    """How long ago, in one unit, as kubectl's AGE column: `12s`, `5m`, `3h`, `9d`; "" if unknown."""
    then = parse_time(rfc3339)
    if then is None:
        return ""
    seconds = max(0, int(((now or datetime.now(UTC)) - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def gap_text(gap: Mapping[str, Any]) -> str:
    """What a gap cost: `exec: 12 events lost, ring_full`, or `all: not observed for 6m, agent_down`."""
    what, cause = gap.get("what", ""), gap.get("cause", "")
    if gap.get("unit") == "intervals":
        return f"{what}: not observed for {length_of(gap)}, {cause}"
    return f"{what}: {gap.get('amount', 0)} {gap.get('unit', '')} lost, {cause}"


def length_of(gap: Mapping[str, Any]) -> str:
    """How long a gap was, as `age` writes it; "a moment" where it has no length."""
    end = parse_time(str(gap.get("to_time", "")))
    length = age(str(gap.get("from_time", "")), end) if end else ""
    return "a moment" if length in ("", "0s") else length


def parse_time(rfc3339: str) -> datetime | None:
    """The moment, to the microsecond; `None` for "" and for the epoch, which stands for "never"."""
    head, _, fraction = rfc3339.rstrip("Z").partition(".")
    try:
        moment = datetime.fromisoformat(f"{head}.{fraction[:6].ljust(6, '0')}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.timestamp() > 0 else None
