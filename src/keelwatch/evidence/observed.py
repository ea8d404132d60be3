"""Pure: one container against those who watched its node. Each moment of its life gets one state.

The causes are painted one after the other, in the order of causes.MISSING; what none of them takes
was observed. Losses lie on top of what was observed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from keelwatch.evidence.causes import KINDS, OPEN, ROTATED, Kind
from keelwatch.evidence.facts import Container, Loss, Node, Watch
from keelwatch.evidence.intervals import (
    BEGINNING,
    END,
    NOTHING,
    Intervals,
    intersect,
    interval,
    subtract,
    total,
    union,
)

SECOND = 1_000_000_000
PATIENCE = 120 * SECOND
"""How long an agent may be silent before what it should have seen counts as missing. It says that it is
there every 30 seconds, and comes back to a hub that was away within a minute."""
GRACE = 10 * SECOND
"""How long an agent may take to take up a container's log before it counts as not followed."""
POINT = 1_000_000
"""The length a loss at one moment gets: no percentage may hide it."""

ALWAYS: Intervals = ((BEGINNING, END),)
_SANDBOXES = re.compile(r"gvisor|runsc|kata|firecracker|kuasar|quark|confidential|\bcoco\b", re.IGNORECASE)

Layer = tuple[str, Intervals]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that was not (wholly) observed. `cause` is one of causes.MISSING, or of a loss."""

    kind: Kind
    begin: int
    end: int
    cause: str
    detail: str = ""


@dataclass(slots=True)
class Seen:
    """What became of one kind of records. `lossy` is a part of `observed`."""

    observed: Intervals = NOTHING
    lossy: Intervals = NOTHING
    open: Intervals = NOTHING
    missing: list[Part] = field(default_factory=list)
    lost: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Covered:
    """A container within the time asked about."""

    container: Container
    ran: Intervals
    seen: dict[Kind, Seen]


@dataclass(frozen=True, slots=True)
class Moment:
    """The time asked about, and what time it is; `listening` is since when the hub runs."""

    begin: int
    end: int
    now: int
    listening: int = 0
    sandboxes: frozenset[str] = frozenset()  # runtime classes that the operator named


def cover(one: Container, node: Node, losses: tuple[Loss, ...], at: Moment) -> Covered:
    """Reckon what was observed of a container. `losses` are the container's own; the node has its own."""
    ran = intersect(one.runs, interval(at.begin, at.end))
    layers = {"events": list(_events(one, node, at)), "logs": list(_logs(one, node, at))}
    seen = {kind: _paint(kind, ran, layers[kind], node) for kind in KINDS}
    for kind in KINDS:
        _lose(seen[kind], kind, ran, node.losses, losses)
    _rotated(seen["logs"], one, node.watch)
    return Covered(one, ran, seen)


def is_sandboxed(runtime: str, named: frozenset[str]) -> bool:
    """Whether a runtime class or handler (`class/handler`) is one that hides its processes from the node."""
    return any(name in named or _SANDBOXES.search(name) for name in runtime.split("/"))


def silence(watch: Watch, at: Moment) -> Intervals:
    """When an agent's silence begins to count: none while it may just be on its way."""
    heard = max(watch.last, at.listening)
    return interval(watch.last, END) if at.now - heard > PATIENCE else NOTHING


def _node_layers(node: Node, at: Moment) -> Iterator[Layer]:
    """What is so for all containers of a node."""
    watch = node.watch
    if watch is None:
        yield "no_agent", ALWAYS
        return
    yield "before_agent", interval(BEGINNING, watch.first)
    rest = interval(watch.last, END) if watch.stopped else NOTHING
    yield "agent_down", subtract(interval(watch.first, watch.last), watch.up) + rest
    silent = silence(watch, at)
    yield "agent_silent", silent
    if not silent:
        yield OPEN, interval(watch.last, END)


def _events(one: Container, node: Node, at: Moment) -> Iterator[Layer]:
    if node.system == "windows":
        yield "windows_node", ALWAYS
    if is_sandboxed(one.runtime, at.sandboxes):
        yield "sandboxed_runtime", ALWAYS
    yield from _node_layers(node, at)
    if node.watch is not None:
        yield "sensor_off", node.watch.sensor_off


def _logs(one: Container, node: Node, at: Moment) -> Iterator[Layer]:
    """A file waits for its reader: what an agent took up is read from its beginning, outages included."""
    if node.system == "windows":
        yield "windows_node", ALWAYS
    watch = node.watch
    read = read_until(one, watch)
    for cause, found in _node_layers(node, at):
        yield cause, intersect(found, interval(read, END))
    if watch is None:
        return
    yield "logs_off", subtract(watch.up, watch.logs)
    if one.taken and not one.has_log:
        yield "no_log_file", ALWAYS
    begin = one.runs[0][0] if one.runs else at.begin
    recent = not one.taken and at.now - max(begin, watch.first) <= GRACE
    yield (OPEN if recent else "not_followed"), interval(read, END)


def read_until(one: Container, watch: Watch | None) -> int:
    """Up to when a log was read: the end of the last run of an agent that took it up."""
    if watch is None or not one.has_log:
        return BEGINNING
    ends = [end for begin, end in watch.logs for taken, _ in one.taken if begin <= taken < end]
    return max(ends, default=BEGINNING)


def _paint(kind: Kind, ran: Intervals, layers: list[Layer], node: Node) -> Seen:
    seen = Seen()
    rest = ran
    for cause, where in layers:
        taken = intersect(rest, where)
        if not taken:
            continue
        rest = subtract(rest, taken)
        if cause == OPEN:
            seen.open = union(seen.open + taken)
        else:
            detail = node.watch.blind if cause == "sensor_off" and node.watch else ""
            seen.missing += [Part(kind, begin, end, cause, detail) for begin, end in taken]
    seen.missing.sort(key=lambda part: part.begin)
    seen.observed = rest
    return seen


def _lose(
    seen: Seen, kind: Kind, ran: Intervals, of_node: tuple[Loss, ...], of_container: tuple[Loss, ...]
) -> None:
    """Note the losses within what was observed; a container's own ones belong to it whenever noticed."""
    for loss in of_node:
        if loss.kind == kind:
            _note(seen, loss, interval(loss.begin, max(loss.end, loss.begin + POINT)))
    for loss in of_container:
        if loss.kind == kind and ran and not (loss.of_pod and loss.end < ran[0][0]):
            begin = min(max(loss.begin, ran[0][0]), ran[-1][1] - POINT)
            _note(seen, loss, interval(begin, max(min(loss.end, ran[-1][1]), begin + POINT)))
    seen.lost.sort(key=lambda part: part.begin)


def _note(seen: Seen, loss: Loss, where: Intervals) -> None:
    for begin, end in intersect(seen.observed, where):
        amount = f"{loss.amount} {loss.unit}".strip() if loss.amount else ""
        detail = "; ".join(text for text in (amount, loss.detail) if text)
        seen.lost.append(Part(loss.kind, begin, end, loss.cause, detail))
        seen.lossy = union((*seen.lossy, (begin, end)))


def _rotated(seen: Seen, one: Container, watch: Watch | None) -> None:
    """What was rotated away before the first agent came is not known."""
    if watch is None or not one.taken or not one.runs:
        return
    taken, files = min(one.taken)
    if files > 1 and one.runs[0][0] < watch.first:
        loss = Loss("logs", ROTATED, one.runs[0][0], taken, detail=f"{files} files were there")
        _note(seen, loss, interval(loss.begin, loss.end))


def share(seen: Seen, ran: Intervals) -> tuple[int, int]:
    """Nanoseconds observed without loss, and nanoseconds of which something is known."""
    return total(subtract(seen.observed, seen.lossy)), total(ran) - total(seen.open)
