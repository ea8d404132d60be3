"""Pure: what a follower has not seen yet, by arrival rather than by time.

A record may arrive late (an agent was cut off for hours), so a cursor over time would miss it. The
cursor is the highest stored batch of each spool.
"""

from __future__ import annotations

from collections.abc import Mapping

from keelwatch.query.filter import Span

MAX_SPANS = 200


def news(seen: Mapping[str, int], stored: Mapping[str, int]) -> list[Span]:
    """The batches that are stored and not seen, at most MAX_SPANS spools at a time.

    Spools take turns: a cursor is in the order in which they were served, so those that were served
    longest ago come first, behind those that never were.
    """
    new = [spool for spool in stored if spool not in seen]
    spans = [
        Span(spool, seen.get(spool, 0), stored[spool])
        for spool in (*new, *seen)
        if stored.get(spool, 0) > seen.get(spool, 0)
    ]
    return spans[:MAX_SPANS]


def advance(seen: Mapping[str, int], spans: list[Span]) -> dict[str, int]:
    """The cursor after these batches were sent: the spools served now stand at its end."""
    served = {span.spool: span.upto for span in spans}
    return {spool: seq for spool, seq in seen.items() if spool not in served} | served
