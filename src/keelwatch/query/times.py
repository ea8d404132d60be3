"""Points in time as people write them: `10m`, `2h30m`, `1d`, or RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from keelwatch.query.errors import QuestionError

NS = 1_000_000_000
_UNITS = {"ms": 1_000_000, "s": NS, "m": 60 * NS, "h": 3600 * NS, "d": 86_400 * NS, "w": 7 * 86_400 * NS}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d|w))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_HINT = "write a duration (10m, 2h30m, 1d) or a time (2026-01-31T12:00:00Z)"


def parse_time(parameter: str, text: str, now: int) -> int:
    """Return nanoseconds since the epoch; a duration counts back from `now`."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return now - parse_duration(text)
    match = _RFC3339.fullmatch(text)
    if not match:
        raise QuestionError(parameter, f"{text!r} is not a time", _HINT)
    day, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError as error:
        raise QuestionError(parameter, f"{text!r} is not a time: {error}", _HINT) from error
    return int(whole.timestamp()) * NS + int((fraction or "0").ljust(9, "0"))


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration that the pattern has accepted."""
    return sum(int(float(number) * _UNITS[unit]) for number, unit in _PART.findall(text))


def rfc3339(nanoseconds: int) -> str:
    """Return a time as the API writes it: UTC, nine digits, `Z`."""
    seconds, rest = divmod(nanoseconds, NS)
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
