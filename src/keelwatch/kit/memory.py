"""Keeps a long-running program's resident memory near what it uses."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = (1 << 20) + (64 << 10)
"""Bytes from which a block is given back to the system when it is freed. A read of a log file (1 MiB)
stays below: to map and clear pages for each would cost more than the reading."""


def give_back_large_blocks() -> None:
    """Fix glibc's threshold: by itself it grows with the blocks that were freed, and then keeps them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and does not need it
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE)
