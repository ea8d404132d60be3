"""Painting a node once for many containers gives what painting each container by itself gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.evidence.causes import OPEN, Kind
from keelwatch.evidence.facts import Container, Loss, Node, Watch
from keelwatch.evidence.intervals import BEGINNING, END, Intervals, intersect, interval, subtract, union
from keelwatch.evidence.observed import (
    ALWAYS,
    GRACE,
    POINT,
    SECOND,
    Layer,
    Moment,
    Part,
    Reckoner,
    Seen,
    is_sandboxed,
    read_until,
    silence,
)

S = SECOND
KINDS: tuple[Kind, ...] = ("events", "logs")
moments = st.integers(0, 300).map(lambda second: second * S)
spans = st.lists(st.tuples(moments, moments), max_size=4).map(union)


def node_layers(node: Node, at: Moment) -> Iterator[Layer]:
    watch = node.watch
    if watch is None:
        yield "no_agent", ALWAYS
        return
    yield "before_agent", interval(BEGINNING, watch.first)
    rest = interval(watch.last, END) if watch.stopped else ()
    yield "agent_down", subtract(interval(watch.first, watch.last), watch.up) + rest
    silent = silence(watch, at)
    yield "agent_silent", silent
    if not silent:
        yield OPEN, interval(watch.last, END)


def layers_of(kind: Kind, one: Container, node: Node, at: Moment) -> Iterator[Layer]:
    watch = node.watch
    if node.system == "windows":
        yield "windows_node", ALWAYS
    if kind == "events":
        if is_sandboxed(one.runtime, at.sandboxes):
            yield "sandboxed_runtime", ALWAYS
        yield from node_layers(node, at)
        if watch is not None:
            yield "sensor_off", watch.sensor_off
        return
    read = read_until(one, watch)
    for cause, found in node_layers(node, at):
        yield cause, intersect(found, interval(read, END))
    if watch is None:
        return
    yield "logs_off", subtract(watch.up, watch.logs)
    if one.taken and not one.has_log:
        yield "no_log_file", ALWAYS
    begin = one.runs[0][0] if one.runs else at.begin
    recent = not one.taken and at.now - max(begin, watch.first) <= GRACE
    yield (OPEN if recent else "not_followed"), interval(read, END)


def plain(kind: Kind, one: Container, node: Node, losses: list[Loss], at: Moment) -> Seen:
    """A container by itself, layer by layer and loss by loss."""
    ran = intersect(one.runs, interval(at.begin, at.end))
    seen, rest = Seen(), ran
    for cause, where in layers_of(kind, one, node, at):
        taken = intersect(rest, where)
        rest = subtract(rest, taken)
        if cause == OPEN:
            seen.open = union(seen.open + taken)
        else:
            seen.missing += [Part(kind, begin, end, cause) for begin, end in taken]
    seen.missing.sort(key=lambda part: part.begin)
    seen.observed = rest
    for loss in node.losses:
        lose(seen, kind, loss, interval(loss.begin, max(loss.end, loss.begin + POINT)))
    for loss in losses if ran else ():
        begin = min(max(loss.begin, ran[0][0]), ran[-1][1] - POINT)
        lose(seen, kind, loss, interval(begin, max(min(loss.end, ran[-1][1]), begin + POINT)))
    seen.lost.sort(key=lambda part: part.begin)
    return seen


def lose(seen: Seen, kind: Kind, loss: Loss, where: Intervals) -> None:
    if loss.kind != kind:
        return
    for begin, end in intersect(seen.observed, where):
        seen.lost.append(Part(kind, begin, end, loss.cause, f"{loss.amount} events"))
        seen.lossy = union((*seen.lossy, (begin, end)))


@st.composite
def watches(draw: st.DrawFn) -> Watch | None:
    first, last = sorted((draw(moments), draw(moments)))
    up = intersect(draw(spans), interval(first, last))
    logs = subtract(up, draw(spans))
    found = Watch(first, last, up, stopped=draw(st.booleans()), sensor_off=draw(spans), logs=logs)
    return draw(st.sampled_from((found, found, found, None)))


containers = st.builds(
    Container,
    container_id=st.sampled_from("abc"),
    cluster=st.just("c"),
    node=st.just("n"),
    runtime=st.sampled_from(("", "", "gvisor")),
    runs=st.one_of(spans, spans.map(lambda runs: (*runs[:1], (400 * S, END)))),
    taken=st.lists(st.tuples(moments, st.just(1)), max_size=3).map(tuple),
    has_log=st.booleans(),
)
losses = st.lists(
    st.builds(
        Loss,
        kind=st.sampled_from(KINDS),
        cause=st.sampled_from(("ring_full", "rejected")),
        begin=moments,
        end=moments,
        amount=st.integers(1, 3),
        unit=st.just("events"),
        container_id=st.just("a"),
    ).map(lambda loss: replace(loss, end=max(loss.begin, loss.end))),
    max_size=5,
)


@given(
    watches(), st.sampled_from(("linux", "windows", "linux")), losses, st.lists(containers, max_size=6),
    losses, moments, moments,
)  # fmt: skip
def test_many_containers_of_a_node_are_what_each_is_by_itself(
    watch: Watch | None,
    system: str,
    of_node: list[Loss],
    ran: list[Container],
    own: list[Loss],
    a: int,
    b: int,
) -> None:
    at = Moment(min(a, b), max(a, b) + S, 320 * S)
    node = Node("c", "n", listed=True, system=system, watch=watch, losses=tuple(of_node))
    reckoner = Reckoner(at)
    for one in ran:
        found = reckoner.cover(one, node, tuple(own))
        for kind in KINDS:
            assert found.seen[kind] == plain(kind, one, node, own, at)
