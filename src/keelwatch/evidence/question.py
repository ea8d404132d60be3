"""What can be asked about coverage, read from text and bounded."""

from __future__ import annotations

from dataclasses import dataclass, field

from keelwatch.evidence.scope import Scope
from keelwatch.evidence.totals import GROUPS
from keelwatch.query.coverage import Where
from keelwatch.query.errors import QuestionError
from keelwatch.query.filter import split_workload
from keelwatch.query.times import parse_time

DEFAULT_SINCE = "24h"
PARAMETERS = (
    "since", "until", "cluster", "node", "namespace", "workload", "team", "pod", "container", "by", "scope",
    "limit",
)  # fmt: skip
MAX_LIMIT = 10_000
_NAMES = ("namespace", "team", "pod", "container")


@dataclass(frozen=True, slots=True)
class Question:
    """`wanted` has what containers' names must be; `limit` bounds the lists of the answer."""

    where: Where
    now: int
    by: str = "workload"
    scope: Scope = field(default_factory=Scope)
    wanted: tuple[tuple[str, str], ...] = ()
    limit: int = 100


def read(given: dict[str, str], now: int, scope: str = "") -> Question:
    """The question; raise QuestionError. `scope` is the hub's own, which "all" or a selector replaces."""
    unknown = sorted(set(given) - set(PARAMETERS))
    if unknown:
        raise QuestionError(unknown[0], "is not a parameter", f"known: {', '.join(PARAMETERS)}")
    begin = parse_time("since", given.get("since") or DEFAULT_SINCE, now)
    end = min(parse_time("until", given["until"], now), now) if given.get("until") else now
    if begin >= end:
        raise QuestionError("since", "the time asked about ends before it begins")
    by = given.get("by") or "workload"
    if by not in GROUPS:
        raise QuestionError("by", f"{by!r} is nothing to group by", f"one of {', '.join(GROUPS)}")
    places = {name: given.get(name, "") for name in ("cluster", "namespace", "node")}
    asked = given.get("scope", "")
    chosen = "" if asked == "all" else asked or scope
    return Question(
        Where(begin, end, **places), now, by, Scope.of(chosen), tuple(_wanted(given)), _limit(given)
    )


def _wanted(given: dict[str, str]) -> list[tuple[str, str]]:
    kind, workload = split_workload(given.get("workload", ""))
    pairs = [
        ("workload_kind", kind),
        ("workload", workload),
        *((name, given.get(name, "")) for name in _NAMES),
    ]
    return [(name, value) for name, value in pairs if value]


def _limit(given: dict[str, str]) -> int:
    text = given.get("limit", "") or "100"
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) <= MAX_LIMIT):
        raise QuestionError("limit", f"{text[:40]!r} is not a number of rows", f"0 to {MAX_LIMIT}")
    return int(text)
