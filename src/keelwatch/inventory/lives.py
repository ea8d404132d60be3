"""Pure: the pods that had a name one after the other, and which of them it was at a time.

At any time a name belongs to one pod of a namespace at most. But the API server tells when a pod was
created in whole seconds, and its end is known by when the hub noticed, so a StatefulSet's pod that
comes again within a second takes some care.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

SECOND = 1_000_000_000
LINGER = 2 * SECOND
"""A pod is gone a little before its last request is done, and clocks differ."""
MADE = 2 * SECOND
"""Behind that a request that made a pod is done: what takes long, admission, comes before."""
_FOR_EVER = 1 << 63


@dataclass(frozen=True, slots=True)
class Life:
    """A pod, and what it was at the time asked for. Times are nanoseconds since the epoch.

    `created` is a whole second, the real time is less than one later; `ended` is when that was
    noticed, 0 while it lives.
    """

    uid: str
    created: int
    ended: int = 0
    node: str = ""
    workload_kind: str = ""
    workload: str = ""
    revision: str = ""
    team: str = ""


def life_at(lives: Sequence[Life], time: int) -> Life | None:
    """Whose name it was."""
    held = list(spans(lives))
    for begin, end, life in reversed(held):
        if begin <= time < end:
            return life
    return next((life for begin, _, life in held if begin - SECOND <= time < begin), None)


def life_created(lives: Sequence[Life], time: int) -> Life | None:
    """Which pod a request made that was done at `time`, or would be soon: none that was there before."""
    recent = [life for life in lives if time - MADE <= life.created <= time + SECOND]
    return max(recent, key=lambda life: life.created, default=None)


def spans(lives: Sequence[Life]) -> Iterator[tuple[int, int, Life]]:
    """From when and until when (not included) the name was each pod's, in order."""
    ordered = sorted(lives, key=lambda life: (life.created, life.ended or _FOR_EVER))
    begins = [life.created for life in ordered[:1]]
    for before, life in pairwise(ordered):
        begins.append(max(begins[-1], _handed_over(before, life)))
    for begin, end, life in zip(begins, [*begins, _FOR_EVER][1:], ordered, strict=True):
        yield begin, min(end, life.ended + LINGER) if life.ended else end, life


def _handed_over(before: Life, life: Life) -> int:
    """When the name went to the next pod: behind the end of the one before, within a second of creation."""
    return max(life.created, min(before.ended or _FOR_EVER, life.created + SECOND))
