"""Names for alerts: ULIDs, which sort by time (https://github.com/ulid/spec)."""

from __future__ import annotations

import os

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
RANDOM_BYTES = 10
MILLISECOND = 1_000_000
TIME_MASK = (1 << 48) - 1


def new_ulid(time: int) -> str:
    """A new ULID for a time in nanoseconds since the epoch."""
    number = (time // MILLISECOND & TIME_MASK) << 80 | int.from_bytes(os.urandom(RANDOM_BYTES))
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
