"""Text from containers made safe for a terminal, and times as people read them.

A log line, a file name or a command line is written by whoever runs in the container: an escape
sequence in it could rewrite the analyst's screen, a line break could forge a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # C0 but the tab, DEL, C1
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # bidirectional controls, invisible marks
    "\ud800-\udfff]"
)
_LINE_BREAKS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")
MAX_COMMAND = 200
"""Characters of a command in a line."""
_TIMES = frozenset({"intervals", "seconds"})
_NAMED = {"\n": "\\n", "\r": "\\r"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def printable(value: object) -> str:
    """Return the value as text without anything a terminal could obey, each such thing escaped."""
    return _UNSAFE.sub(_escape, str(value))


def one_line(value: object) -> str:
    """Return the value as text on one line; other control characters stay (for files and pipes)."""
    return _LINE_BREAKS.sub(_escape, str(value))


def short_time(rfc3339: str, *, digits: int = 0) -> str:
    """`2026-11-23T16:12:57.123456789Z` → `2026-11-23 16:12:57` with `digits` of the fraction."""
    head, _, fraction = rfc3339.rstrip("Z").partition(".")
    text = head.replace("T", " ")
    return f"{text}.{fraction[:digits].ljust(digits, '0')}" if digits else text


def age(rfc3339: str, now: datetime | None = None) -> str:
    """How long ago, in one unit, as kubectl's AGE column: `12s`, `5m`, `3h`, `9d`; "" if unknown."""
    then = parse_time(rfc3339)
    if then is None:
        return ""
    seconds = max(0, int(((now or datetime.now(UTC)) - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def gap_text(gap: Mapping[str, Any]) -> str:
    """What a gap cost: `exec: 12 events lost, ring_full`, or `all: not observed for 6 min, agent_down`."""
    what, cause = gap.get("what", ""), gap.get("cause", "")
    if gap.get("unit") in _TIMES:
        return f"{what}: not observed for {amount_of(gap)}, {cause}"
    return f"{what}: {amount_of(gap)} lost, {cause}"


def ending(event: Mapping[str, Any]) -> str:
    """How a process ended: `status 1`, `signal 9`; "" for other events."""
    detail = event.get("detail")
    told = detail if event.get("kind") == "exit" and isinstance(detail, Mapping) else {}
    return next((f"{name} {told[name]}" for name in ("status", "signal") if name in told), "")


def lifecycle_text(record: Mapping[str, Any]) -> str:
    """What came, changed or went: `image changed, shop:1 → shop:2`, `pod evicted, Evicted: low on memory`."""
    kind = str(record.get("kind", "")).replace("_", " ")
    detail = record.get("detail")
    told = detail if isinstance(detail, Mapping) else {}
    if not record.get("pod") and record.get("workload") and not record.get("container_id"):
        kind = f"{record.get('workload_kind', '')} {record['workload']}: {kind}"
    parts = [f"{told['from']} → {told['to']}"] if "from" in told and "to" in told else []
    parts += [": ".join(str(told[name]) for name in ("reason", "message") if told.get(name))]
    parts += [f"{name.replace('_', ' ')} {told[name]}" for name in ("revision", "exit_code") if name in told]
    return ", ".join([kind, *(part for part in parts if part)])


def amount_of(gap: Mapping[str, Any]) -> str:
    """`1,200 events`, `1 event`, or how long nothing was observed."""
    unit, amount = str(gap.get("unit") or ""), int(gap.get("amount") or 0)
    if unit == "intervals":
        return length_of(gap)
    if unit == "seconds":
        return duration(amount)
    return f"{amount:,} {_one(unit) if amount == 1 else unit}"


def _one(unit: str) -> str:
    return "batch" if unit == "batches" else unit.removesuffix("s")


def duration(seconds: int) -> str:
    """`22 s`, `5 min 3 s`, `2 h 10 min`, `3 d 4 h`: the two greatest units."""
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "a moment"


def length_of(gap: Mapping[str, Any]) -> str:
    """How long a gap was; "a moment" where it has no length."""
    begin, end = (parse_time(str(gap.get(name, ""))) for name in ("from_time", "to_time"))
    return duration(max(0, int((end - begin).total_seconds()))) if begin and end else "a moment"


def parse_time(rfc3339: str) -> datetime | None:
    """The moment, to the microsecond; `None` for "" and for the epoch, which stands for "never"."""
    head, _, fraction = rfc3339.rstrip("Z").partition(".")
    try:
        moment = datetime.fromisoformat(f"{head}.{fraction[:6].ljust(6, '0')}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.timestamp() > 0 else None


def by_whom(record: Mapping[str, Any]) -> str:
    """Whose doing an alert is: `alice`, `alice (likely)`, `alice or bob (ambiguous)`; "" if nobody's.

    That is who was at work in its tree of processes, or who sent the request that it is about.
    """
    sessions = record.get("access") or []
    if not sessions:
        return str(record.get("user") or "")
    names = dict.fromkeys(acting(session) for session in sessions)
    sure = {str(session.get("confidence", "")) for session in sessions}
    told = "" if sure == {"certain"} else f" ({'ambiguous' if len(names) > 1 else ', '.join(sorted(sure))})"
    return " or ".join(names) + told


def request_text(record: Mapping[str, Any]) -> str:
    """A request to the API server: `alice create shop/pods/checkout-1/exec, 101`."""
    asked = f"{acting(record) or '(nobody)'} {record.get('verb', '')} {target_text(record)}"
    command = str(record.get("command") or "")[:MAX_COMMAND]
    stage = str(record.get("stage", ""))
    told = [str(record.get("code") or "-"), command, "" if stage == "ResponseComplete" else stage]
    return ", ".join([asked, *(part for part in told if part)])


def target_text(record: Mapping[str, Any]) -> str:
    """`shop/pods/checkout-1/exec`, or the path for requests about no object."""
    if not record.get("resource"):
        return str(record.get("uri", "")).partition("?")[0]
    parts = (record.get(name, "") for name in ("namespace", "resource", "name", "subresource"))
    return "/".join(str(part) for part in parts if part)


def session_text(session: Mapping[str, Any]) -> str:
    """`exec by alice: sh -c id, certain, ended after 12 s`."""
    command = str(session.get("command") or session.get("debug_image") or "")[:MAX_COMMAND]
    begin, end = (parse_time(str(session.get(name) or "")) for name in ("time", "ended"))
    lasted = f"ended after {duration(int((end - begin).total_seconds()))}" if begin and end else "open"
    left = "left processes running" if end and session.get("running") else ""
    asked = f"{session.get('kind', '')} by {acting(session)}{': ' if command else ''}{command}"
    return ", ".join(part for part in (asked, str(session.get("confidence", "")), lasted, left) if part)


def acting(session: Mapping[str, Any]) -> str:
    """The user of an access session or request, and as whom."""
    other = session.get("impersonated_user")
    return f"{session.get('user', '')} as {other}" if other else str(session.get("user", ""))
