"""Which process an exec request started: candidates by command and time, counted against each other.

Nothing in a process's record names the request that it came from. So a request and a process belong
together where each is the other's only candidate, and what keeps that from being certain is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keelwatch.access.entry import Entry, runs
from keelwatch.access.request import Request
from keelwatch.kit.text import one_line

CERTAIN, LIKELY, AMBIGUOUS, NONE = "certain", "likely", "ambiguous", "none"
CONFIDENCES: tuple[str, ...] = (CERTAIN, LIKELY, AMBIGUOUS, NONE)

NS = 1_000_000_000
SKEW = 2 * NS
"""How far the clocks of API server and node may be apart."""
CLOSE = 50_000_000
"""So close to a request's own time a process is its, where several requests come one after another."""
START_LIMIT = 30 * NS
"""So long a node may take to start what it was asked for."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Match:
    """`chosen` is the entry that belongs to the request, if one can be told; `candidates` all that might."""

    confidence: str
    reason: str = ""
    chosen: Entry | None = None
    candidates: tuple[Entry, ...] = ()


Matches = dict[str, Match]
"""By request id."""


def window(request: Request) -> tuple[int, int]:
    """From when to when, by the API server's clock, the request's process can have been started."""
    latest = request.received + START_LIMIT
    return request.received, min(request.ended or latest, latest)


def match_execs(requests: Sequence[Request], entries: Sequence[Entry]) -> Matches:
    """Match the exec requests of one pod with the entries that were seen in it."""
    found: Matches = {}
    for group, theirs in _components(requests, entries):
        found |= _group(group, theirs)
    claimed = {entry.tree for match in found.values() for entry in match.candidates}
    loose = [entry for entry in entries if entry.tree not in claimed]
    by_id = {request.id: request for request in requests}
    return {name: _beside(match, by_id[name], loose) for name, match in found.items()}


def _components(
    requests: Sequence[Request], entries: Sequence[Entry]
) -> list[tuple[list[Request], list[Entry]]]:
    """Requests that share candidates, with these candidates."""
    groups: list[tuple[list[Request], list[Entry]]] = []
    for request in requests:
        mine = [entry for entry in entries if _possible(request, entry)]
        group: tuple[list[Request], list[Entry]] = ([request], mine)
        apart = []
        for other in groups:
            if {one.tree for one in other[1]} & {one.tree for one in group[1]}:
                known = {one.tree for one in group[1]}
                more = [one for one in other[1] if one.tree not in known]
                group = ([*other[0], *group[0]], sorted([*group[1], *more], key=lambda one: one.time))
            else:
                apart.append(other)
        groups = [*apart, group]
    return groups


def _possible(request: Request, entry: Entry) -> bool:
    if entry.main or not _within(request, entry.times, SKEW):
        return False
    return request.container in ("", entry.container) and runs(entry, request)


def _within(request: Request, times: Sequence[int], slack: int) -> bool:
    begin, end = window(request)
    return any(begin - slack <= time <= end + slack for time in times)


def _near(request: Request, entry: Entry) -> bool:
    """In the request's own time and with a terminal exactly if one was asked for."""
    return entry.tty == request.tty and _within(request, entry.times, CLOSE)


def _group(requests: Sequence[Request], entries: Sequence[Entry]) -> Matches:
    if not entries:
        return {request.id: Match(NONE, _unseen(request)) for request in requests}
    if len(requests) == 1 and len(entries) == 1:
        return {requests[0].id: _only(requests[0], entries[0])}
    chosen = _apart(requests, entries)
    if chosen is not None:
        reason = f"{_several(requests, entries)}, told apart by their times"
        return {name: Match(LIKELY, reason, entry, (entry,)) for name, entry in chosen.items()}
    if len({request.actor for request in requests}) == 1 and len(entries) == len(requests):
        reason = f"{_several(requests, entries)}: which process is whose request's cannot be told"
        in_turn = zip(_by_time(requests), entries, strict=True)
        return {one.id: Match(LIKELY, reason, entry, (entry,)) for one, entry in in_turn}
    reason = f"{_several(requests, entries)}: which process is whose cannot be told"
    return {one.id: Match(AMBIGUOUS, reason, None, _candidates(one, entries)) for one in requests}


def _only(request: Request, entry: Entry) -> Match:
    begin, end = window(request)
    if _within(request, (entry.time,), CLOSE):
        return Match(CERTAIN, "", entry, (entry,))
    if _within(request, entry.times, CLOSE):
        off = f"{abs(entry.ahead) / NS:.1f} s {'ahead of' if entry.ahead > 0 else 'behind'} the hub's"
        reason = f"the clock of node {entry.node} was {off}, which was allowed for"
        return Match(LIKELY, reason, entry, (entry,))
    early = entry.time < begin
    apart = (begin - entry.time if early else entry.time - end) / NS
    when = "before the request was received" if early else "after the request had ended"
    reason = f"the process began {apart:.1f} s {when}: the clocks of API server and node may differ"
    return Match(LIKELY, reason, entry, (entry,))


def _apart(requests: Sequence[Request], entries: Sequence[Entry]) -> dict[str, Entry] | None:
    """Each request's entry, where by time there is but one way to give each its own.

    Where more processes were seen than asked for, none of them is ruled out by being another's.
    """
    near = {one.id: [entry for entry in entries if _near(one, entry)] for one in requests}
    chosen: dict[str, Entry] = {}
    while near:
        name = next((name for name, found in near.items() if len(found) == 1), None)
        if name is None:
            return None
        entry = near.pop(name)[0]
        if entry in chosen.values():
            return None
        chosen[name] = entry
        if len(entries) == len(requests):
            near = {other: [one for one in found if one != entry] for other, found in near.items()}
    return chosen


def _candidates(request: Request, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    possible = [entry for entry in entries if _possible(request, entry)]
    near = [entry for entry in possible if _near(request, entry)]
    return tuple(near or possible)


def _several(requests: Sequence[Request], entries: Sequence[Entry]) -> str:
    """How many equal execs there were, by whom, and which of them nobody asked for."""
    users = sorted({one_line(request.actor) for request in requests})
    named = " and ".join([*users[:_SHOWN], *(["others"] if len(users) > _SHOWN else [])])
    asked, seen = len(requests), len(entries)
    if seen < asked:
        return f"{asked} equal execs at nearly the same time by {named}, but only {seen} of them was seen"
    text = f"{seen} equal processes at nearly the same time, {asked} of them asked for by {named}"
    if seen > asked:
        text += f" and {seen - asked} by no audited request (as an exec probe of the kubelet)"
    return text


def _beside(match: Match, request: Request, loose: Sequence[Entry]) -> Match:
    """The same command also runs without a request: then the one in the window might be such a one."""
    if match.confidence != CERTAIN or match.chosen is None:
        return match
    same = [one for one in loose if one.container_id == match.chosen.container_id and runs(one, request)]
    if not same:
        return match
    times = f"{len(same)} time{'s' * (len(same) > 1)}"
    reason = (
        f"the same command was run {times} near by without a request, as an exec probe of the kubelet does"
    )
    return replace(match, confidence=LIKELY, reason=reason)


def _unseen(request: Request) -> str:
    if not request.whole:
        return "the command could not be read from the request's address, which is too long"
    return "no process of this command was seen in the container"


def _by_time(requests: Sequence[Request]) -> list[Request]:
    return sorted(requests, key=lambda request: request.received)


def with_gaps(match: Match, gaps: Sequence[str]) -> Match:
    """What was not observed at that time makes less sure, and explains what is missing."""
    if not gaps or match.confidence == AMBIGUOUS:
        return match
    told = "; ".join(gaps[:_SHOWN])
    if match.confidence == NONE:
        return replace(match, reason=f"{match.reason}: {told}")
    reason = f"{match.reason}; {told}" if match.reason else f"not all was observed at that time: {told}"
    return replace(match, confidence=LIKELY, reason=reason)
