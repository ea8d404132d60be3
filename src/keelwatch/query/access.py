"""Access sessions: who entered a container by the API server, and what came of it.

The table keeps every version of a session; the highest one counts. `id` and what the request itself
says never change; what was seen of the container may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from keelwatch.model.identity import IDENTITY_COLUMNS
from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import Conditions, Filter, Span, conditions
from keelwatch.query.records import DEFAULT_TAIL, MAX_TAIL, SHAPES, Query
from keelwatch.query.times import NS, parse_time
from keelwatch.store.escape import Value

KINDS: tuple[str, ...] = ("exec", "attach", "debug", "port-forward")
CONFIDENCES: tuple[str, ...] = ("certain", "likely", "ambiguous", "none")
COLUMNS: tuple[str, ...] = (
    "time", "id", "kind", "state", "user", "groups", "impersonated_user", "source_ips", "user_agent", "verb",
    "code", "through", "command", "tty", "stdin", "debug_image", "target_container", "started", "ended",
    "confidence", "reason", "entry_pid", "entry_start", "trees", "until", "candidates", "requests", "events",
    "alerts", "files", "last_event", "running", *IDENTITY_COLUMNS,
)  # fmt: skip
"""The fields of a session (docs/reference/records.md)."""
MAX_EVENTS = 5000
"""Events of a session that are shown; more are counted."""
MAX_TREES = 1000
WROTE = ("open", "inherit", "rename", "link", "chmod", "unlink")
"""The kinds of events that change files."""

SKEW = 3600 * NS
"""So far before its request what a session did may be dated: the clocks of nodes differ.

A tree's name is no other's, so this only says which part of the store is looked at."""

MAX_SEQUENCE = (1 << 63) - 1
_NOT_KNOWN = "1970-01-01T00:00:00.000000000Z"
_MAYBE = ("started", "ended", "until", "last_event")
_SEARCHED = ("command", "user", "reason")
_DAY_NS = 86_400 * NS
_LATEST = "ORDER BY version DESC LIMIT 1 BY id"
_KEY = "concat(container_id, '/', toString(entry_pid), '/', toString(entry_start))"
_EVENT = "time, kind, type, result, phase, pid, ppid, comm, exe, cmdline, uid, tty, entry_pid, entry_start, "
_EVENT += "path, old_path, drift, sha256, created, memfd, upper, container, container_id, node, "
_EVENT += "file_namespace, file_pod, file_container, file_container_id, process, ancestors, detail"


def select_sessions(wanted: Filter, now: int, tail: int = DEFAULT_TAIL) -> Query:
    """The last `tail` matching sessions as they are now, oldest first."""
    if not 0 <= tail <= MAX_TAIL:
        raise QuestionError("tail", f"{tail} sessions", f"ask for 0 to {MAX_TAIL}")
    found = _asked(wanted, now)
    inner = Conditions(parameters=found.parameters)
    _times(inner, wanted, now)
    columns = ", ".join(COLUMNS)
    sql = (
        f"SELECT {columns} FROM (SELECT {columns} FROM access WHERE {inner.sql} {_LATEST}) "
        f"WHERE {found.sql} ORDER BY time DESC, id DESC LIMIT {found.bind(tail, 'UInt32')}"
    )
    return Query(f"SELECT {columns} FROM ({sql}) ORDER BY time, id", found.parameters)


def new_sessions(wanted: Filter, now: int, spans: Sequence[Span]) -> Query:
    """Matching sessions that began or ended: what batches that have arrived are the first to tell."""
    found = _asked(wanted, now)
    arrived = found.arrived(spans)
    later = found.arrived([replace(span, upto=MAX_SEQUENCE) for span in spans])  # what comes next is not old
    columns = ", ".join(COLUMNS)
    latest = f"SELECT {columns} FROM access WHERE {arrived} {_LATEST}"
    ids = f"SELECT id FROM access WHERE {arrived}"
    told = f"SELECT id, state FROM access WHERE id IN ({ids}) AND NOT ({later})"
    return Query(
        f"SELECT {columns} FROM ({latest}) WHERE {found.sql} AND (id, state) NOT IN ({told}) "
        f"ORDER BY time, id LIMIT {MAX_TAIL}",
        found.parameters,
    )


def _asked(wanted: Filter, now: int) -> Conditions:
    """What a filter asks of a session as it is now, but for the time."""
    found = conditions(replace(wanted, since="", until=""), now, _SEARCHED, has_file=False)
    found.equal("kind", _one_of("kind", wanted.kind, KINDS))
    found.equal("confidence", _one_of("confidence", wanted.confidence, CONFIDENCES))
    if wanted.user:
        user = found.bind(wanted.user, "String")
        found.clauses.append(f"user = {user} OR impersonated_user = {user}")
    return found


def session_by_id(identifier: str) -> Query:
    """The session with this id, or up to two whose ids begin with it, the exact one first."""
    columns = ", ".join(COLUMNS)
    return Query(
        f"SELECT {columns} FROM access WHERE startsWith(id, {{id:String}}) "
        "ORDER BY id = {id:String} DESC, id, version DESC LIMIT 1 BY id LIMIT 2",
        {"id": identifier},
    )


def span(session: Mapping[str, Any], now: int) -> tuple[int, int]:
    """From when to when (ns, 0: no end) what a session's trees did is its doing."""
    begin = parse_time("time", str(session["time"]), now)
    until = session.get("until")
    if session["kind"] == "attach":
        return begin, parse_time("until", str(until), now) if until else 0
    return begin - SKEW, 0


def sessions_of_trees(trees: Sequence[str]) -> Query:
    """The sessions to which any of these trees may belong (names as in `trees`)."""
    columns = ", ".join(COLUMNS)
    values: dict[str, Value] = {"trees": list(trees)[:MAX_TREES]}
    ids = "SELECT id FROM access WHERE hasAny(trees, {trees:Array(String)})"
    latest = f"SELECT {columns} FROM access WHERE id IN ({ids}) {_LATEST}"
    return Query(f"SELECT {columns} FROM ({latest}) WHERE hasAny(trees, {{trees:Array(String)}})", values)


def deeds_query(session: Mapping[str, Any], since: int, until: int) -> Query:
    """How much a session's trees did: events, files, the last event's time, which of them are over.

    Times are ns, 0: no end.
    """
    found = _of_trees(session, since, until)
    written = ", ".join(f"'{kind}'" for kind in WROTE)
    return Query(
        "SELECT countIf(kind != 'exit') AS events, "
        "toUnixTimestamp64Nano(maxIf(time, kind != 'exit')) AS last, "
        f"groupUniqArrayIf({_KEY}, kind = 'exit') AS over, "
        f"uniqExactIf((path, file_container_id), kind IN ({written}) AND result >= 0) AS files "
        f"FROM events WHERE {found.sql} AND phase = 'run'",
        found.parameters,
    )


def alerts_count_query(session: Mapping[str, Any], since: int, until: int) -> Query:
    """How many alerts fired in a session's trees, repeats counted."""
    found = _of_trees(session, since, until)
    return Query(f"SELECT sum(count) AS alerts FROM alerts WHERE {found.sql}", found.parameters)


def events_query(session: Mapping[str, Any], since: int, until: int) -> Query:
    """What a session's trees did, oldest first, at most MAX_EVENTS."""
    found = _of_trees(session, since, until)
    return Query(
        f"SELECT {_EVENT} FROM events WHERE {found.sql} AND phase = 'run' "
        f"ORDER BY events.time, spool, seq, row LIMIT {MAX_EVENTS}",
        found.parameters,
    )


def alerts_query(session: Mapping[str, Any], since: int, until: int) -> Query:
    """The alerts of a session's trees, oldest first."""
    found = _of_trees(session, since, until)
    columns = ", ".join(SHAPES["alerts"].columns)
    return Query(
        f"SELECT {columns} FROM alerts WHERE {found.sql} ORDER BY time, id LIMIT {MAX_EVENTS}",
        found.parameters,
    )


def _of_trees(session: Mapping[str, Any], since: int, until: int) -> Conditions:
    """Records of a session's trees. The namespace and the time let the store leave most out."""
    found = Conditions()
    found.equal("namespace", str(session["namespace"]))
    trees = [str(tree) for tree in session["trees"]]
    ids = found.bind(sorted({tree.partition("/")[0] for tree in trees}), "Array(String)")
    found.clauses.append(f"has({ids}, container_id)")
    found.clauses.append(f"has({found.bind(trees, 'Array(String)')}, {_KEY})")
    begin = found.bind(since, "Int64")
    found.clauses.append(f"time >= fromUnixTimestamp64Nano({begin}, 'UTC')")
    early = found.bind(since - _DAY_NS, "Int64")
    found.clauses.append(f"day >= toDate(fromUnixTimestamp64Nano({early}, 'UTC'))")
    if until:
        end = found.bind(until, "Int64")
        found.clauses.append(f"time <= fromUnixTimestamp64Nano({end}, 'UTC')")
    return found


def _times(found: Conditions, wanted: Filter, now: int) -> None:
    """A session's time is its request's; the days of its versions are that one or later."""
    if wanted.since:
        at = parse_time("since", wanted.since, now)
        found.clauses.append(f"time >= fromUnixTimestamp64Nano({found.bind(at, 'Int64')}, 'UTC')")
        early = found.bind(at - _DAY_NS, "Int64")
        found.clauses.append(f"day >= toDate(fromUnixTimestamp64Nano({early}, 'UTC'))")
    if wanted.until:
        at = parse_time("until", wanted.until, now)
        found.clauses.append(f"time < fromUnixTimestamp64Nano({found.bind(at, 'Int64')}, 'UTC')")


def _one_of(parameter: str, value: str, known: Iterable[str]) -> str:
    if value and value not in known:
        raise QuestionError(parameter, f"{value!r} is none that there is", f"one of {', '.join(known)}")
    return value


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A session as the API gives it: times that are not known are null, candidates are objects."""
    found = dict(row)
    for name in _MAYBE:
        if found.get(name) == _NOT_KNOWN:
            found[name] = None
    found["candidates"] = orjson.loads(str(found.get("candidates") or "[]"))
    return found
