"""Names for alerts: ULIDs, which sort by time (https://github.com/ulid/spec)."""

from __future__ import annotations

import hashlib
import os

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
RANDOM_BYTES = 10
MILLISECOND = 1_000_000
TIME_MASK = (1 << 48) - 1


def new_ulid(time: int) -> str:
    """A new ULID for a time in nanoseconds since the epoch."""
    return _ulid(time, os.urandom(RANDOM_BYTES))


def named_ulid(time: int, name: str) -> str:
    """The ULID of a thing that has a name of its own: the same whenever it is made."""
    return _ulid(time, hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:RANDOM_BYTES])


def _ulid(time: int, rest: bytes) -> str:
    number = (time // MILLISECOND & TIME_MASK) << 80 | int.from_bytes(rest)
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
