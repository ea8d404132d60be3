"""Waiting times between attempts: they double up to a ceiling, with jitter so that agents spread out."""

from __future__ import annotations

import random


class Backoff:
    """Delays in seconds; `reset()` after a success."""

    def __init__(self, first: float = 0.25, ceiling: float = 30.0) -> None:
        self._first = first
        self._ceiling = ceiling
        self._attempts = 0

    def reset(self) -> None:
        """Start again from the shortest delay."""
        self._attempts = 0

    def next(self) -> float:
        """Return the next delay: between half and the whole of first * 2^n, at most the ceiling."""
        whole: float = min(self._ceiling, self._first * 2 ** min(self._attempts, 32))
        self._attempts += 1
        return whole * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
