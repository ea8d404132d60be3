"""Pure: covered containers added up, for a workload, a team, a node or everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from keelwatch.evidence.causes import KINDS, Kind
from keelwatch.evidence.facts import Container
from keelwatch.evidence.intervals import Intervals, total
from keelwatch.evidence.observed import Covered, Part, Seen

SECOND = 1_000_000_000
_DIGITS = 1_000_000

Record = dict[str, Any]
GROUPS: dict[str, tuple[str, ...]] = {
    "cluster": ("cluster",),
    "namespace": ("cluster", "namespace"),
    "workload": ("cluster", "namespace", "workload_kind", "workload"),
    "team": ("team",),
    "node": ("cluster", "node"),
    "container": (
        "cluster", "namespace", "workload_kind", "workload", "pod", "container", "node", "container_id",
    ),
}  # fmt: skip
"""By what containers can be added up, and the names that tell the groups apart."""

_SHOWN = ("cluster", "node", "namespace", "workload_kind", "workload", "pod", "container", "container_id")


@dataclass(slots=True)
class Sum:
    """Nanoseconds of one kind of records.

    `observed`, `lossy`, `open` and all that is `missing` together are the time that the containers ran.
    """

    ran: int = 0
    observed: int = 0
    lossy: int = 0
    open: int = 0
    missing: dict[str, int] = field(default_factory=dict)  # by cause
    lost: dict[str, int] = field(default_factory=dict)

    def add(self, other: Sum) -> None:
        """Add another one."""
        self.ran += other.ran
        self.observed += other.observed
        self.lossy += other.lossy
        self.open += other.open
        if other.missing:
            _add(self.missing, other.missing)
        if other.lost:
            _add(self.lost, other.lost)

    @property
    def known(self) -> int:
        """Nanoseconds of which something can be said."""
        return self.ran - self.open

    @property
    def percent(self) -> float | None:
        """Observed without loss, rounded down, so that 100 means all; None where nothing is known yet."""
        return self.observed * 100 * _DIGITS // self.known / _DIGITS if self.known > 0 else None

    def record(self) -> Record:
        """As the API shows it: seconds, and `percent`."""
        return {
            "percent": self.percent,
            "observed": seconds(self.observed),
            "with_loss": seconds(self.lossy),
            "missing": _by_time(self.missing),
            "open": seconds(self.open),
            "losses": _by_time(self.lost),
        }


Tally = dict[Kind, Sum]
"""One container's sums."""


def tally_of(found: Covered) -> Tally:
    """Add up one container."""
    ran = total(found.ran)
    return {kind: _sum_of(found.seen[kind], ran) for kind in KINDS}


def _sum_of(seen: Seen, ran: int) -> Sum:
    lossy = total(seen.lossy)
    missing, lost = _by_cause(seen.missing), _by_cause(seen.lost)
    return Sum(ran, total(seen.observed) - lossy, lossy, total(seen.open), missing, lost)


def _by_cause(parts: Iterable[Part]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        found[part.cause] = found.get(part.cause, 0) + part.end - part.begin
    return found


def _add(times: dict[str, int], more: dict[str, int]) -> None:
    for cause, time in more.items():
        times[cause] = times.get(cause, 0) + time


def _by_time(times: dict[str, int]) -> dict[str, float]:
    """Seconds, the most first."""
    return {cause: seconds(time) for cause, time in sorted(times.items(), key=lambda item: -item[1])}


@dataclass(slots=True)
class Group:
    """Containers that have these names in common."""

    names: dict[str, str]
    containers: int = 0
    complete: int = 0  # of which events and logs were observed all the time, without loss
    sums: Tally = field(default_factory=lambda: {kind: Sum() for kind in KINDS})

    def add(self, tally: Tally) -> None:
        """Add one container."""
        self.containers += 1
        self.complete += all(not one.missing and not one.lossy for one in tally.values())
        for kind in KINDS:
            self.sums[kind].add(tally[kind])

    def merge(self, other: Group) -> None:
        """Add another group."""
        self.containers += other.containers
        self.complete += other.complete
        for kind in KINDS:
            self.sums[kind].add(other.sums[kind])

    @property
    def percent(self) -> float | None:
        """The lesser of events and logs."""
        return min((sum_.percent for sum_ in self.sums.values() if sum_.percent is not None), default=None)

    def record(self) -> Record:
        """As the API shows it."""
        return {
            **self.names,
            "containers": self.containers,
            "complete": self.complete,
            "ran": seconds(self.sums[KINDS[0]].ran),
            "percent": self.percent,
            **{kind: self.sums[kind].record() for kind in KINDS},
        }


class Rollup:
    """Adds up by some names; the groups with the least coverage come first."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._groups: dict[tuple[str, ...], Group] = {}

    def add(self, one: Container, tally: Tally) -> None:
        """Add one container to its group."""
        self.group(tuple([getattr(one, name) for name in self._names])).add(tally)

    def group(self, values: tuple[str, ...]) -> Group:
        """The group of that name."""
        group = self._groups.get(values)
        if group is None:
            group = self._groups[values] = Group(dict(zip(self._names, values, strict=True)))
        return group

    def by(self, *names: str) -> Rollup:
        """The same by fewer names."""
        found = Rollup(*names)
        for group in self._groups.values():
            found.group(tuple(group.names[name] for name in names)).merge(group)
        return found

    def total(self) -> Group:
        """All groups together."""
        everything = Group({})
        for group in self._groups.values():
            everything.merge(group)
        return everything

    def records(self, most: int) -> tuple[list[Record], int]:
        """The first `most` groups, and how many there are."""
        ordered = sorted(self._groups.items(), key=_order)
        return [group.record() for _, group in ordered[:most]], len(ordered)


class Singles:
    """Groups of one container each, of which only the `most` with the least coverage are held."""

    def __init__(self, *names: str, most: int) -> None:
        self._names = names
        self._most = most
        self._found: list[tuple[tuple[str, ...], Group]] = []
        self.count = 0

    def add(self, one: Container, tally: Tally) -> None:
        """Add a container that was not added before."""
        self.count += 1
        values = tuple([getattr(one, name) for name in self._names])
        group = Group(dict(zip(self._names, values, strict=True)))
        group.add(tally)
        self._found.append((values, group))
        if len(self._found) > 2 * self._most + 1000:
            self._cut()

    def records(self) -> list[Record]:
        """The groups."""
        self._cut()
        return [group.record() for _, group in self._found]

    def _cut(self) -> None:
        self._found = sorted(self._found, key=_order)[: self._most]


class Totals:
    """Everything that is added up for one answer: its groups, the clusters, the total."""

    def __init__(self, by: str, most: int) -> None:
        self._most = most
        self._names = GROUPS[by]
        self._singles = Singles(*self._names, most=most) if by == "container" else None
        self._rollup = (
            Rollup("cluster") if self._singles else Rollup(*dict.fromkeys((*self._names, "cluster")))
        )

    def add(self, one: Container, tally: Tally) -> None:
        """Add one container."""
        self._rollup.add(one, tally)
        if self._singles:
            self._singles.add(one, tally)

    def records(self) -> Record:
        """As the API shows it: `total`, `clusters`, `groups`, `group_count`."""
        if self._singles:
            groups, count = self._singles.records(), self._singles.count
        else:
            groups, count = self._rollup.by(*self._names).records(self._most)
        return {
            "total": self._rollup.total().record(),
            "clusters": self._rollup.by("cluster").records(1000)[0],
            "groups": groups,
            "group_count": count,
        }


def _order(item: tuple[tuple[str, ...], Group]) -> tuple[float, tuple[str, ...]]:
    return _rank(item[1]), item[0]


def _rank(group: Group) -> float:
    return 101.0 if group.percent is None else group.percent


def container_record(found: Covered, stamp: Callable[[int], str]) -> Record:
    """One container with its intervals; `stamp` writes a time. What has no end yet has `to` = null."""
    return {
        **_identity(found.container),
        "ran": _spans(found.ran, stamp),
        **{kind: _seen(found.seen[kind], stamp) for kind in KINDS},
    }


def stretches(containers: list[Record], most: int) -> list[Record]:
    """The longest missing stretches of these containers' records, each with whose and what it is."""
    found = [
        {**{name: one[name] for name in _SHOWN}, "what": kind, **part}
        for one in containers
        for kind in KINDS
        for part in one[kind]["missing"]
    ]
    return sorted(found, key=lambda part: -float(part["seconds"]))[:most]


def _seen(seen: Seen, stamp: Callable[[int], str]) -> Record:
    parts = [
        {"from": stamp(part.begin), "to": stamp(part.end), "seconds": seconds(part.end - part.begin),
         "cause": part.cause, "detail": part.detail}
        for part in seen.missing
    ]  # fmt: skip
    lost = [
        {"from": stamp(part.begin), "to": stamp(part.end), "cause": part.cause, "detail": part.detail}
        for part in seen.lost
    ]
    return {
        "observed": _spans(seen.observed, stamp),
        "missing": parts,
        "with_loss": lost[:100],
        "open": _spans(seen.open, stamp),
    }


def _spans(found: Intervals, stamp: Callable[[int], str]) -> list[Record]:
    return [{"from": stamp(begin), "to": stamp(end)} for begin, end in found]


def _identity(one: Container) -> Record:
    names = ("cluster", "node", "namespace", "workload_kind", "workload", "team", "pod", "container",
             "container_id", "image", "runtime", "known_by")  # fmt: skip
    return {name: getattr(one, name) for name in names}


def seconds(nanoseconds: int) -> float:
    """Seconds with milliseconds, never rounded down to nothing."""
    return max(round(nanoseconds / SECOND, 3), 0.001) if nanoseconds else 0.0
