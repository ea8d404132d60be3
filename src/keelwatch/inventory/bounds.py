"""Bounds for what people write into objects, and one copy of each text that repeats."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keelwatch.inventory.objects import Pairs
from keelwatch.kit.lru import LRU

MAX_LABELS = 128
"""Labels kept of an object. Real ones have a dozen; the API server sets no limit but on the object."""
MAX_KEY = 317
MAX_VALUE = 256
MAX_TEXT = 1024
MAX_CONTAINERS = 256
_FIRST = ("app.kubernetes.io/", "pod-template-hash", "controller-revision-hash", "batch.kubernetes.io/")

_seen: LRU[Pairs, Pairs] = LRU(50_000)


def text(value: object, limit: int = MAX_TEXT) -> str:
    """The text, cut; "" for what is none."""
    return value[:limit] if isinstance(value, str) else ""


def shared(value: object, limit: int = MAX_TEXT) -> str:
    """As `text`, for what many objects have in common."""
    return sys.intern(text(value, limit))


def number(value: object) -> int:
    """A number that fits into 32 bits, or 0."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return max(-0x80000000, min(value, 0x7FFFFFFF))


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object, limit: int) -> list[Mapping[str, Any]]:
    """The JSON objects of a list, at most `limit`."""
    return [item for item in value[:limit] if isinstance(item, dict)] if isinstance(value, list) else []


def pairs(value: object, wanted: str = "") -> tuple[Pairs, int]:
    """Sorted labels and how many were left out: those that identify, and `wanted`, are kept first."""
    found = [(k, v) for k, v in mapping(value).items() if isinstance(k, str) and isinstance(v, str)]
    cut = max(0, len(found) - MAX_LABELS)
    if cut:
        found.sort(key=lambda pair: (pair[0] != wanted and not pair[0].startswith(_FIRST), pair[0]))
        del found[MAX_LABELS:]
    kept = tuple(sorted((shared(key, MAX_KEY), shared(value, MAX_VALUE)) for key, value in found))
    return share(kept), cut


def share(value: Pairs) -> Pairs:
    """The copy of these pairs that others use already: the pods of a workload have the same labels."""
    known = _seen.get(value)
    if known is None:
        known = _seen[value] = value
    return known


def nanoseconds(value: object) -> int:
    """RFC 3339 as the API server writes it → nanoseconds since the epoch; 0 for anything else."""
    if not isinstance(value, str) or len(value) > 40:
        return 0
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
