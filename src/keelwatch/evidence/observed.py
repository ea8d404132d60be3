"""Pure: one container against those who watched its node. Each moment of its life gets one state.

The causes are painted one after the other, in the order of causes.MISSING; what none of them takes
was observed. Losses lie on top of what was observed. A node is painted once for all containers of
which the same is true, and each container is cut out of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from keelwatch.evidence.causes import KINDS, OPEN, ROTATED, Kind
from keelwatch.evidence.facts import PATIENCE, Container, Loss, Node, NodeKey, Watch
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
GRACE = 10 * SECOND
"""How long an agent may take to take up a container's log before it counts as not followed."""
POINT = 1_000_000
"""The length a loss at one moment gets: no percentage may hide it."""

ALWAYS: Intervals = ((BEGINNING, END),)
_SANDBOXES = re.compile(r"gvisor|runsc|kata|firecracker|kuasar|quark|confidential|\bcoco\b", re.IGNORECASE)

Layer = tuple[str, Intervals]
_begin = attrgetter("begin")


class Part(NamedTuple):
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


@dataclass(frozen=True, slots=True)
class Painting:
    """All of time: what each cause took of it, and the rest, which was observed. Nothing overlaps."""

    layers: tuple[Layer, ...]
    rest: Intervals


class Reckoner:
    """Reckons what was observed of one container after the other, all for the same time."""

    def __init__(self, at: Moment) -> None:
        self._at = at
        self._painted: dict[tuple[object, ...], Painting] = {}
        self._lost: dict[tuple[NodeKey, Kind], list[Part]] = {}

    def cover(self, one: Container, node: Node, losses: tuple[Loss, ...]) -> Covered:
        """What was observed of a container. `losses` are its own and its pod's; the node has its own."""
        ran = intersect(one.runs, interval(self._at.begin, self._at.end))
        events = _cut("events", ran, self._events(one, node), node)
        logs = _cut("logs", ran, self._logs(one, node), node)
        found = Covered(one, ran, {"events": events, "logs": logs})
        for kind in KINDS:
            lost = self._losses(node, kind)
            if lost or losses:
                _lose(found.seen[kind], ran, lost, [loss for loss in losses if loss.kind == kind])
        _rotated(logs, one, node.watch)
        return found

    def _events(self, one: Container, node: Node) -> Painting:
        hidden = bool(one.runtime) and is_sandboxed(one.runtime, self._at.sandboxes)
        key = (node.key, hidden)
        if key not in self._painted:
            self._painted[key] = paint(_events(node, self._at, hidden=hidden))
        return self._painted[key]

    def _logs(self, one: Container, node: Node) -> Painting:
        read = read_until(one, node.watch)
        nowhere = bool(one.taken) and not one.has_log
        key = (node.key, read, nowhere, recent := is_recent(one, node.watch, self._at))
        if key not in self._painted:
            self._painted[key] = paint(_logs(node, self._at, read, nowhere=nowhere, recent=recent))
        return self._painted[key]

    def _losses(self, node: Node, kind: Kind) -> list[Part]:
        key = node.key, kind
        if key not in self._lost:
            self._lost[key] = [
                _part(loss, loss.begin, max(loss.end, loss.begin + POINT))
                for loss in node.losses
                if loss.kind == kind
            ]
        return self._lost[key]


def cover(one: Container, node: Node, losses: tuple[Loss, ...], at: Moment) -> Covered:
    """Reckon a single container."""
    return Reckoner(at).cover(one, node, losses)


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


def _events(node: Node, at: Moment, *, hidden: bool) -> Iterator[Layer]:
    if node.system == "windows":
        yield "windows_node", ALWAYS
    if hidden:
        yield "sandboxed_runtime", ALWAYS
    yield from _node_layers(node, at)
    if node.watch is not None:
        yield "sensor_off", node.watch.sensor_off


def _logs(node: Node, at: Moment, read: int, *, nowhere: bool, recent: bool) -> Iterator[Layer]:
    """A file waits for its reader: what an agent took up is read from its beginning, outages included."""
    if node.system == "windows":
        yield "windows_node", ALWAYS
    watch = node.watch
    for cause, found in _node_layers(node, at):
        yield cause, intersect(found, interval(read, END))
    if watch is None:
        return
    yield "logs_off", subtract(watch.up, watch.logs)
    if nowhere:
        yield "no_log_file", ALWAYS
    yield (OPEN if recent else "not_followed"), interval(read, END)


def is_recent(one: Container, watch: Watch | None, at: Moment) -> bool:
    """Whether an agent may still take up a container's log."""
    if one.taken or watch is None:
        return False
    begin = one.runs[0][0] if one.runs else at.begin
    return at.now - max(begin, watch.first) <= GRACE


def read_until(one: Container, watch: Watch | None) -> int:
    """Up to when a log was read: the end of the last run of an agent that took it up."""
    if watch is None or not one.has_log:
        return BEGINNING
    ends = [end for begin, end in watch.logs for taken, _ in one.taken if begin <= taken < end]
    return max(ends, default=BEGINNING)


def paint(layers: Iterable[Layer]) -> Painting:
    """Give each moment to the first layer that has it."""
    rest, found = ALWAYS, []
    for cause, where in layers:
        if taken := intersect(rest, where):
            found.append((cause, taken))
            rest = subtract(rest, taken)
    return Painting(tuple(found), rest)


def _cut(kind: Kind, ran: Intervals, painting: Painting, node: Node) -> Seen:
    seen = Seen(observed=intersect(ran, painting.rest))
    if not ran:
        return seen
    low, high = ran[0][0], ran[-1][1]
    for cause, where in painting.layers:
        if where[0][0] >= high or where[-1][1] <= low:
            continue  # most causes hold at other times
        taken = intersect(ran, where)
        if cause == OPEN:
            seen.open = union(seen.open + taken) if seen.open else taken
        else:
            detail = node.watch.blind if cause == "sensor_off" and node.watch else ""
            seen.missing += [Part(kind, begin, end, cause, detail) for begin, end in taken]
    seen.missing.sort(key=_begin)
    return seen


def _lose(seen: Seen, ran: Intervals, of_node: list[Part], own: list[Loss]) -> None:
    """Note the losses within what was observed; a container's own ones belong to it whenever noticed."""
    if not ran or not seen.observed:
        return
    low, high = seen.observed[0][0], seen.observed[-1][1]
    found = [part for part in of_node if part.begin < high and part.end > low]
    for loss in own:
        if not (loss.of_pod and loss.end < ran[0][0]):
            begin = min(max(loss.begin, ran[0][0]), ran[-1][1] - POINT)
            found.append(_part(loss, begin, max(min(loss.end, ran[-1][1]), begin + POINT)))
    _note(seen, found)
    seen.lost.sort(key=_begin)


def _note(seen: Seen, found: Iterable[Part]) -> None:
    for part in found:
        for begin, end in intersect(seen.observed, interval(part.begin, part.end)):
            whole = begin == part.begin and end == part.end
            seen.lost.append(part if whole else part._replace(begin=begin, end=end))
    seen.lossy = union((*seen.lossy, *((part.begin, part.end) for part in seen.lost)))


def _part(loss: Loss, begin: int, end: int) -> Part:
    amount = f"{loss.amount} {loss.unit}".strip() if loss.amount else ""
    detail = "; ".join(text for text in (amount, loss.detail) if text)
    return Part(loss.kind, begin, end, loss.cause, detail)


def _rotated(seen: Seen, one: Container, watch: Watch | None) -> None:
    """What was rotated away before the first agent came is not known."""
    if watch is None or not one.taken or not one.runs:
        return
    taken, files = min(one.taken)
    if files > 1 and one.runs[0][0] < watch.first:
        _note(seen, [Part("logs", one.runs[0][0], taken, ROTATED, f"{files} files were there")])


def share(seen: Seen, ran: Intervals) -> tuple[int, int]:
    """Nanoseconds observed without loss, and nanoseconds of which something is known."""
    return total(subtract(seen.observed, seen.lossy)), total(ran) - total(seen.open)
