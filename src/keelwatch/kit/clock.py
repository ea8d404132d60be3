"""Time: nanoseconds since the epoch inside, RFC 3339 with nanoseconds outside."""

from __future__ import annotations

import time

COMPARISONS = 7


def now() -> int:
    """Nanoseconds since the epoch, UTC."""
    return time.time_ns()


def boot_offset() -> int:
    """What to add to CLOCK_BOOTTIME to get time since the epoch; it changes when the clock is set."""
    return min(_compare() for _ in range(COMPARISONS))[1]


def _compare() -> tuple[int, int]:
    """How long a comparison of the clocks took, and what it gave: an interrupted one is worth little."""
    before = time.time_ns()
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    after = time.time_ns()
    return after - before, (before + after) // 2 - boot


def iso(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds: 2026-01-31T23:59:59.000000001Z."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def day(nanoseconds: int) -> str:
    """The UTC calendar day, ISO 8601: the partition that a record belongs to."""
    return time.strftime("%Y-%m-%d", time.gmtime(nanoseconds // 1_000_000_000))
