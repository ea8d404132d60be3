"""What the two log file formats share: parts of a line that wait for their end, and the UTC day.

A container runtime splits a long line into parts. Parts of stdout and stderr interleave, so each
stream waits on its own. A line that grows beyond MAX_LINE is let go in pieces, each a line: nothing
is lost, and `cut` counts the lines this happened to.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

MAX_LINE = 1 << 20
"""Bytes of text that one log line may have."""

MAX_DAYS = 16
"""Days that one chunk is split into; what claims to be of yet another day stays with the last one."""

EARLIEST = date(2000, 1, 1)
"""Before that a time stamp is taken for one of a clock that was not set."""

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?(Z|[+-]\d\d:\d\d)")


@dataclass(slots=True)
class Part:
    """The beginning of a line of one stream. `head` is what the line starts with once it is whole."""

    head: bytes
    text: bytes
    cut: bool = False

    def to_json(self) -> list[Any]:
        """The part as a checkpoint carries it."""
        return [self.head.decode("latin-1"), base64.b85encode(self.text).decode("ascii"), self.cut]

    @classmethod
    def from_json(cls, value: list[Any]) -> Part:
        """The reverse of `to_json`."""
        return cls(value[0].encode("latin-1"), base64.b85decode(value[1]), bool(value[2]))


Pending = dict[str, Part]
"""Stream name -> the unfinished line of that stream."""


@dataclass(slots=True)
class Joined:
    """Whole lines, the parts that still wait, and how many lines exceeded MAX_LINE."""

    data: bytes
    pending: Pending = field(default_factory=dict)
    cut: int = 0


def utc_day(stamp: bytes) -> str | None:
    """Return the UTC day of an RFC 3339 time, or None if it is none, or before EARLIEST."""
    found = _STAMP.match(stamp)
    if found is None:
        return None
    local, zone = found.groups()
    return _day_of(local[:10]) if zone == b"Z" else _shifted_day(local[:16], zone)


@lru_cache(maxsize=64)
def _day_of(text: bytes) -> str | None:
    try:
        day = date.fromisoformat(text.decode("ascii"))
    except ValueError:
        return None
    return day.isoformat() if day.year >= EARLIEST.year else None


@lru_cache(maxsize=256)
def _shifted_day(minute: bytes, zone: bytes) -> str | None:
    try:
        moment = datetime.fromisoformat((minute + zone).decode("ascii"))
        day = moment.astimezone(UTC).date()
    except (ValueError, OverflowError):
        return None
    return day.isoformat() if day.year >= EARLIEST.year else None


def split_days(data: bytes, fallback: str, day_of: Callable[[bytes], str | None]) -> list[tuple[str, bytes]]:
    """Split whole lines by day, keeping their order within a day.

    Only the first and the last line are looked at if they agree: a chunk that spans a midnight is
    rare. A line without a time belongs to the day before it, at first to `fallback`.
    """
    first = day_of(data[: data.find(b"\n") + 1])
    last = day_of(data[data.rfind(b"\n", 0, -1) + 1 :])
    if first == last:
        return [(first or fallback, data)]
    groups: dict[str, list[bytes]] = {}
    at = fallback
    for line in whole_lines(data):
        at = day_of(line) or at
        if at not in groups and len(groups) == MAX_DAYS:
            at = next(reversed(groups))
        groups.setdefault(at, []).append(line)
    return [(day, b"".join(lines)) for day, lines in groups.items()]


def whole_lines(data: bytes) -> list[bytes]:
    """Split behind each newline, and only there: bytes.splitlines would split at a carriage return, too."""
    return [line + b"\n" for line in data[:-1].split(b"\n")]
