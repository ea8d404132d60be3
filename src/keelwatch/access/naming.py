"""Whose doing a record is: the access sessions that its tree of processes belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keelwatch.access.entry import tree_name

Record = dict[str, Any]
FIELDS: tuple[str, ...] = (
    "id", "kind", "user", "impersonated_user", "source_ips", "command", "confidence", "reason",
)  # fmt: skip
"""What a record says of a session that it belongs to."""


def tree_of(record: Mapping[str, Any]) -> str:
    """The name of a record's tree; "" where it has none."""
    pid = int(record.get("entry_pid") or 0)
    return tree_name(str(record["container_id"]), pid, int(record["entry_start"])) if pid else ""


def name_all(records: Iterable[Record], sessions: Sequence[Mapping[str, Any]]) -> None:
    """Give each record `access`, the sessions that it may belong to, and `user`, if that is one for sure.

    A request to the API server itself names its user in its detail.
    """
    by_tree: dict[str, list[Mapping[str, Any]]] = {}
    for session in sessions:
        for tree in session["trees"]:
            by_tree.setdefault(str(tree), []).append(session)
    for record in records:
        found = [one for one in by_tree.get(tree_of(record), ()) if _acts(one, str(record["time"]))]
        record["access"] = [{name: one[name] for name in FIELDS} for one in found]
        record["user"] = _user(found) if found else _asked_by(record)


def _acts(session: Mapping[str, Any], time: str) -> bool:
    """An attach lets its user act in a process that also runs by itself: while it lasts, given stdin."""
    if session["kind"] != "attach":
        return True
    until = session.get("until")
    return bool(session["stdin"]) and str(session["time"]) <= time and (not until or time <= str(until))


def _user(sessions: Sequence[Mapping[str, Any]]) -> str:
    users = {str(one["user"]) for one in sessions}
    return users.pop() if len(users) == 1 else ""


def _asked_by(record: Mapping[str, Any]) -> str:
    detail = record.get("detail")
    return (
        str(detail.get("user", ""))
        if record.get("source") == "k8s_audit" and isinstance(detail, dict)
        else ""
    )
