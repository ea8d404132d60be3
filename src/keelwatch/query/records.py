"""Records of each table: which columns an answer has, and the SQL that finds them.

Names of columns and of the API's fields are the same (docs/reference/records.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keelwatch.model.identity import IDENTITY_COLUMNS
from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import Conditions, Filter, Span, at_least, conditions
from keelwatch.query.late import Late, shown
from keelwatch.store.escape import Value

DEFAULT_TAIL = 1000
MAX_TAIL = 100_000

_PROCESS = (
    "pid", "ppid", "uid", "gid", "loginuid", "tty", "comm", "exe", "cmdline", "cwd",
    "entry_pid", "entry_start", "process", "ancestors",
)  # fmt: skip
_FILE = (
    "path", "path_source", "old_path", "old_path_source", "flags", "mode", "inode", "device", "size", "upper",
    "memfd", "created", "truncated", "sha256", "drift", "file_namespace", "file_pod", "file_container",
    "file_container_id", "file_workload",
)  # fmt: skip

JSON_COLUMNS = frozenset(
    {
        "process",
        "ancestors",
        "story",
        "detail",
        "user_extra",
        "annotations",
        "request_object",
        "response_object",
    }
)
"""Columns that hold JSON text; the API gives them as objects (`detail` only where it is JSON)."""


AUDIT_FILTERS = ("user", "verb", "resource", "subresource", "name", "audit_id")
"""Filters that only audit records have, each a column."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a record of a table looks like."""

    name: str  # of one record: the timeline's `record`
    columns: tuple[str, ...]
    searched: tuple[str, ...]  # by grep and regex
    has_file: bool = False


SHAPES: Mapping[str, Shape] = {
    "logs": Shape("log", ("time", "stream", "message", *IDENTITY_COLUMNS), ("message",)),
    "events": Shape(
        "event",
        ("time", "kind", "type", "result", "phase", *IDENTITY_COLUMNS, *_PROCESS, *_FILE, "detail"),
        ("cmdline", "exe", "path", "old_path"),
        has_file=True,
    ),
    "alerts": Shape(
        "alert",
        (
            "time", "id", "rule", "priority", "tags", "output", "source", "count", "kind", "type", "result",
            "phase",
            *IDENTITY_COLUMNS, *_PROCESS, *_FILE, "story", "detail",
        ),
        ("output", "rule", "cmdline", "exe", "path"),
        has_file=True,
    ),
    "lifecycle": Shape(
        "lifecycle", ("time", "kind", "labels", "detail", *IDENTITY_COLUMNS), ("kind", "detail")
    ),
    "audit": Shape(
        "audit",
        (
            "time", "requested", "received", "audit_id", "stage", "level", "verb", "uri", "user", "user_uid",
            "groups", "user_extra", "impersonated_user", "impersonated_groups", "source_ips", "user_agent",
            "api_group",
            "api_version", "resource", "subresource", "name", "code", "reason", "decision", "command",
            "annotations", "request_object", "response_object", "truncated", "source",
            *IDENTITY_COLUMNS,
        ),
        ("uri", "user", "name", "command", "user_agent"),
    ),
    "gaps": Shape(
        "gap",
        ("time", "what", "cause", "from_time", "to_time", "amount", "unit", "detail", *IDENTITY_COLUMNS),
        ("what", "cause", "detail"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """SQL with `{name:Type}` placeholders, and their values."""

    sql: str
    parameters: dict[str, Value]


def select(table: str, wanted: Filter, now: int, tail: int = DEFAULT_TAIL, *, oldest: bool = False) -> Query:
    """The last `tail` matching records (or the first ones), oldest first."""
    if not 0 <= tail <= MAX_TAIL:
        raise QuestionError("tail", f"{tail} records", f"ask for 0 to {MAX_TAIL}")
    found = table_conditions(table, wanted, now)
    columns = ", ".join(SHAPES[table].columns)
    order = ", ".join(f"{name} {'ASC' if oldest else 'DESC'}" for name in ("time", "spool", "seq", "row"))
    inner = (
        f"SELECT {columns}, spool, seq, row FROM {table} WHERE {found.sql} "
        f"ORDER BY {order} LIMIT {found.bind(tail, 'UInt32')}"
    )
    answer = shown(SHAPES[table].columns, wanted.late, found.bind, "one")
    return Query(
        f"SELECT {answer} FROM ({inner}) AS one ORDER BY one.time, one.spool, one.seq, one.row",
        found.parameters,
    )


def select_new(table: str, wanted: Filter, now: int, spans: list[Span]) -> Query:
    """Matching records of batches that have arrived since, in the order of time."""
    found = table_conditions(table, wanted, now)
    arrived = found.arrived(spans)
    inner = (
        f"SELECT {', '.join(SHAPES[table].columns)}, spool, seq, row FROM {table} WHERE {found.sql} "
        f"AND ({arrived}) ORDER BY time, spool, seq, row LIMIT {MAX_TAIL}"
    )
    answer = shown(SHAPES[table].columns, wanted.late, found.bind, "one")
    return Query(
        f"SELECT {answer} FROM ({inner}) AS one ORDER BY one.time, one.spool, one.seq, one.row",
        found.parameters,
    )


def alert_by_id(identifier: str, late: Late = ()) -> Query:
    """The alert with this id, or up to two whose ids begin with it, the exact one first."""
    found = Conditions(parameters={"id": identifier})
    columns = SHAPES["alerts"].columns
    return Query(
        f"SELECT {shown(columns, late, found.bind, 'one')} FROM ("
        f"SELECT {', '.join(columns)} FROM alerts WHERE startsWith(id, {{id:String}}) "
        "ORDER BY id = {id:String} DESC, id LIMIT 1 BY id LIMIT 2) AS one "
        "ORDER BY one.id = {id:String} DESC, one.id",
        found.parameters,
    )


def the_one(identifier: str, found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The alert that is meant, of those that alert_by_id finds."""
    if len(found) > 1 and found[0]["id"] != identifier:
        raise QuestionError("id", f"several alerts' ids begin with {identifier!r}", "write more of it")
    return found[0] if found and identifier else None


def table_conditions(
    table: str, wanted: Filter, now: int, parameters: dict[str, Value] | None = None
) -> Conditions:
    """The conditions that a filter means for a table; give `parameters` to add to those of a statement."""
    shape = SHAPES[table]
    found = conditions(wanted, now, shape.searched, shape.has_file, parameters, node_wide=table == "gaps")
    if table == "logs":
        found.equal("stream", wanted.stream)
    if table in ("events", "lifecycle", "alerts"):
        found.equal("kind", wanted.kind)
    if table in ("events", "alerts"):
        found.equal("type", wanted.type)
        found.equal("phase", wanted.phase)
    if table == "alerts":
        found.equal("rule", wanted.rule)
        found.equal("id", wanted.id)
        if wanted.priority:
            names = found.bind(at_least(wanted.priority), "Array(String)")
            found.clauses.append(f"has({names}, lower(priority))")
    if table == "audit":
        for name in AUDIT_FILTERS:
            found.equal(name, getattr(wanted, name))
    if table == "gaps":
        found.equal("what", wanted.what)
        found.equal("cause", wanted.cause)
    return found
