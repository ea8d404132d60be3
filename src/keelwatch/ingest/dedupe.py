"""Pure: which of the waiting batches may be written now, which are repeats, which must wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby

from keelwatch.ingest.unpack import Received


class Ticket:
    """What a request waits for: `stored` ends when all its `batches` have, with the first failure if any.

    All of them are of one table, whose writer settles them: one thread.
    """

    def __init__(self, batches: int) -> None:
        self.stored: Future[None] = Future()
        self.stored.set_running_or_notify_cancel()  # a request that is given up cannot end it meanwhile
        self._open = batches
        self._failure: Exception | None = None

    def settle(self, failure: Exception | None) -> None:
        """One batch more is done with."""
        self._open -= 1
        self._failure = self._failure or failure
        if self._open:
            return
        if self._failure is None:
            self.stored.set_result(None)
        else:
            self.stored.set_exception(self._failure)


@dataclass(eq=False, slots=True)
class Waiting:
    """A received batch and whose request it is. `until` is when a jump in the sequence is believed."""

    batch: Received
    until: float
    ticket: Ticket
    settled: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """Spool and sequence number."""
        return self.batch.spool, self.batch.seq


@dataclass(slots=True)
class Plan:
    """`ready` is in order for each spool; `jumps` are those of it that do not follow on."""

    ready: list[Waiting] = field(default_factory=list)
    repeats: list[Waiting] = field(default_factory=list)
    held: list[Waiting] = field(default_factory=list)
    jumps: list[tuple[Waiting, int]] = field(default_factory=list)


def plan(waiting: Sequence[Waiting], highest: Mapping[str, int], now: float) -> Plan:
    """Sort the waiting batches. `highest` is the highest stored seq by spool.

    A batch that comes ahead of its predecessor (two requests can overtake each other) is held for
    a while; if the predecessor does not come, the jump is believed, and reported.
    """
    result = Plan()
    for spool, items in groupby(
        sorted(waiting, key=lambda item: item.key), key=lambda item: item.batch.spool
    ):
        at = stored = highest.get(spool, 0)
        for item in items:
            seq = item.batch.seq
            if seq <= stored:
                result.repeats.append(item)
            elif seq <= at:
                result.held.append(item)  # the same batch twice in one round: wait for the outcome
            elif seq == at + 1 or item.until <= now:
                if seq > at + 1:
                    result.jumps.append((item, at + 1))
                result.ready.append(item)
                at = seq
            else:
                result.held.append(item)
    return result


def next_group(ready: Sequence[Waiting], limit: int) -> tuple[list[Waiting], list[Waiting]]:
    """Return (batches for one part, the rest): one day and format, about `limit` bytes.

    Once a batch of a spool stays behind, all later ones of that spool do: n + 1 must never be
    durable before n.
    """
    head = ready[0].batch.header
    behind: set[str] = set()
    group: list[Waiting] = []
    rest: list[Waiting] = []
    size = 0
    for item in ready:
        header = item.batch.header
        fits = not group or size + item.batch.size <= limit
        if header.spool not in behind and (header.day, header.format) == (head.day, head.format) and fits:
            group.append(item)
            size += item.batch.size
        else:
            behind.add(header.spool)
            rest.append(item)
    return group, rest


def settle(items: Sequence[Waiting], failure: Exception | None = None) -> None:
    """Batches are stored, or failed, once and for all."""
    for item in items:
        if not item.settled:
            item.settled = True
            item.ticket.settle(failure)
