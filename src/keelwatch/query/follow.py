"""Pure: what a follower has not seen yet, by arrival rather than by time.

A record may arrive late (an agent was cut off for hours), so a cursor over time would miss it. The
cursor is the highest stored batch of each spool.
"""

from __future__ import annotations

from collections.abc import Mapping

from keelwatch.query.records import Span

MAX_SPANS = 200


def news(seen: Mapping[str, int], stored: Mapping[str, int]) -> list[Span]:
    """The batches that are stored and not seen, at most MAX_SPANS spools at a time."""
    spans = [
        Span(spool, seen.get(spool, 0), upto)
        for spool, upto in sorted(stored.items())
        if upto > seen.get(spool, 0)
    ]
    return spans[:MAX_SPANS]


def advance(seen: Mapping[str, int], spans: list[Span]) -> dict[str, int]:
    """The cursor after these batches were sent."""
    return {**seen, **{span.spool: span.upto for span in spans}}
