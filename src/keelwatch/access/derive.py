"""Requests of one pod and what was seen in it → access sessions. Pure: the same in, the same out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from keelwatch.access import match as matching
from keelwatch.access.match import AMBIGUOUS, CERTAIN, LIKELY, NONE, NS, SKEW, Match, Matches
from keelwatch.access.pod import Container, PodSeen
from keelwatch.access.request import ATTACH, DEBUG, EXEC, MADE, PORT_FORWARD, Request
from keelwatch.access.session import Session

DEBUG_START_LIMIT = 600 * NS
"""So long the image of an ephemeral container, or of a pod that was made, may take to come."""

_NO_PROCESS = (
    "a port-forward starts no process in the container; what went through its connection is not observed"
)
_CAN_ONLY_READ = "attached without stdin: the user could only read what the process wrote"
_RAN_ANYWAY = "the process ran before: what it did meanwhile need not be the user's doing"
_NOT_SEEN = "the container's own process has no record"
_NOT_STARTED = "the ephemeral container was not seen to start"
_BODY = "the audit's policy does not record what the request asked for; the container is told by the time"


def sessions(requests: Sequence[Request], seen: PodSeen) -> list[Session]:
    """The sessions of one pod. Requests that were refused are none."""
    granted = [one for one in requests if not one.refused]
    execs = [one for one in granted if one.kind == EXEC]
    matches = matching.match_execs(execs, seen.entries)
    debugs = _debugs([*(one for one in granted if one.kind == DEBUG), *_entered(granted)], seen, matches)
    joined = _joined_to(debugs, granted)
    found = [_exec(one, matches[one.id], seen) for one in execs]
    found += [_with_requests(one, granted) for one in debugs]
    found += [_attach(one, seen) for one in granted if one.kind == ATTACH and one.id not in joined]
    found += [_port_forward(one) for one in granted if one.kind == PORT_FORWARD]
    return sorted(found, key=lambda one: (one.request.received, one.request.id))


def _exec(request: Request, match: Match, seen: PodSeen) -> Session:
    begin, end = matching.window(request)
    match = matching.with_gaps(match, seen.lost(begin - SKEW, end + SKEW))
    if match.confidence == NONE:
        match = replace(match, reason=match.reason + _unobserved(request, seen))
    trees = tuple(entry.tree for entry in ((match.chosen,) if match.chosen else match.candidates))
    return Session(
        request=request,
        match=match,
        ended=request.ended,
        trees=trees,
        lasting=_lasting(trees, seen),
        requests=(request.audit_id,),
        place=match.candidates[0].identity if match.candidates else {},
    )


def _lasting(trees: tuple[str, ...], seen: PodSeen) -> tuple[str, ...]:
    """The trees that did not end with their container, where the agent tells of their ends."""
    running = {one.id for one in seen.containers if one.tells and not one.ended}
    return tuple(tree for tree in trees if tree.partition("/")[0] in running)


def _unobserved(request: Request, seen: PodSeen) -> str:
    """Whether the pod was watched at all when the request came."""
    if not seen.containers:
        return "; no agent reported anything of this pod"
    first = min(one.first for one in seen.containers)
    if first > matching.window(request)[1] + SKEW:
        return f"; the first that was observed of this pod is of {_utc(first)}"
    return ""


def _utc(time: int) -> str:
    return f"{datetime.fromtimestamp(time // NS, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def _attach(request: Request, seen: PodSeen) -> Session:
    """An attach starts nothing: it ties to the container's own process, while it lasts."""
    running = [
        one
        for one in seen.containers
        if request.container in ("", one.name)
        and one.name
        and one.first <= request.received + SKEW
        and (not one.ended or one.ended >= request.received - SKEW)
    ]
    container = running[-1] if running else None
    main = container.main if container else None
    if main is None:
        match = Match(NONE, _NOT_SEEN)
    else:
        sure, reason = (LIKELY, _RAN_ANYWAY) if request.stdin else (CERTAIN, _CAN_ONLY_READ)
        match = Match(sure, reason, main, (main,))
    return Session(
        request=request,
        match=match,
        ended=request.ended,
        until=request.ended + SKEW if request.ended else 0,
        trees=tuple(entry.tree for entry in match.candidates),
        requests=(request.audit_id,),
        place=container.identity if container else {},
    )


def _port_forward(request: Request) -> Session:
    return Session(request, Match(NONE, _NO_PROCESS), ended=request.ended, requests=(request.audit_id,))


def _entered(requests: Sequence[Request]) -> list[Request]:
    """Pods that were made to be entered (of a node, a copy of a pod, `kubectl run -it`), as debug requests.

    They say so, or who made one attached to it. Each container that is meant is one request.
    """
    found: list[Request] = []
    for made in requests:
        if made.kind != MADE:
            continue
        attached = {one.container for one in requests if _attached_to(one, made)}
        told = made.containers or tuple((name, "", ()) for name in sorted(attached) or [""])
        for number, (name, image, argv) in enumerate(told):
            if made.debugs or (made.containers and name in attached):
                id_ = f"{made.id}~{number}" if number else made.id
                found.append(replace(made, id=id_, kind=DEBUG, container=name, image=image, argv=argv))
    return found


def _attached_to(request: Request, made: Request) -> bool:
    soon = made.received <= request.received <= made.received + DEBUG_START_LIMIT
    return soon and (request.kind, request.actor) == (ATTACH, made.actor)


def _debugs(requests: Sequence[Request], seen: PodSeen, execs: Matches) -> list[Session]:
    """Each with the whole life of its ephemeral container, but for what other requests ran in it."""
    others = {entry.tree for match in execs.values() for entry in match.candidates}
    named = {request.container for request in requests if request.container}
    return [_debug(request, _added(request, named, seen), others, seen) for request in requests]


def _added(request: Request, named: set[str], seen: PodSeen) -> list[Container]:
    """The containers that the request can have added: by their name, else by their time."""
    if request.container:
        return [one for one in seen.containers if one.name == request.container][:1]
    before = {one.name for one in seen.containers if one.first < request.received - SKEW}
    latest = request.received + DEBUG_START_LIMIT
    return [
        one
        for one in seen.containers
        if one.name and one.name not in before | named and one.first <= latest + SKEW
    ]


def _debug(request: Request, added: Sequence[Container], others: set[str], seen: PodSeen) -> Session:
    mains = tuple(main for one in added if (main := one.main) is not None)
    if not mains:
        match = Match(NONE, _NOT_STARTED)
    elif len(mains) > 1:
        match = Match(AMBIGUOUS, f"{_BODY}, and {len(mains)} began near by", None, mains)
    elif request.container:
        match = Match(CERTAIN, "", mains[0], mains)
    else:
        match = Match(LIKELY, _BODY, mains[0], mains)
    found = [entry.tree for one in added for entry in one.entries if entry.tree not in others]
    trees = tuple(dict.fromkeys([*(entry.tree for entry in mains), *found]))
    return Session(
        request=request,
        match=match,
        ended=added[0].ended if len(added) == 1 else 0,
        trees=trees,
        lasting=_lasting(trees, seen),
        requests=(request.audit_id,),
        place=added[0].identity if added else {},
    )


def _joined_to(debugs: Sequence[Session], requests: Sequence[Request]) -> set[str]:
    """The attaches by which those who asked for an ephemeral container are at it."""
    return {request.id for one in debugs for request in requests if _belongs(request, one)}


def _with_requests(session: Session, requests: Sequence[Request]) -> Session:
    mine = [request.audit_id for request in requests if _belongs(request, session)]
    return replace(session, requests=(*session.requests, *mine))


def _belongs(request: Request, session: Session) -> bool:
    mine = session.request
    name = mine.container or str(session.place.get("container", ""))
    same = (request.kind, request.container, request.actor) == (ATTACH, name, mine.actor)
    return same and bool(name) and request.received >= mine.received - SKEW
