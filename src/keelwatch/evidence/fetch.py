"""Facts for a question, fetched from the store. All of this blocks.

What is kept is bounded by the number of nodes, agents and losses; containers are handed out one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import orjson

from keelwatch.evidence import gather
from keelwatch.evidence.facts import Container, CutOff, Node, NodeKey, Watch
from keelwatch.evidence.intervals import NOTHING, Intervals, union
from keelwatch.evidence.losses import Losses
from keelwatch.query import coverage as sql
from keelwatch.query.coverage import Where
from keelwatch.query.errors import QuestionError
from keelwatch.query.records import Query
from keelwatch.store.database import Database

Record = dict[str, Any]
Heard = Callable[[], Mapping[str, float]]
"""When each agent was last heard of since the hub's start: spool → seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one question needs, but for the containers. `inventories`: clusters of which one is kept."""

    begin: int
    end: int
    now: int
    nodes: dict[NodeKey, Node]
    losses: Losses
    labels: dict[NodeKey, dict[str, str]] = field(default_factory=dict)  # of namespaces
    inventories: frozenset[str] = frozenset()
    listening: int = 0  # since when the hub runs
    hub_down: Intervals = NOTHING
    cut_off: tuple[CutOff, ...] = ()
    inventory_off: Intervals = NOTHING


class Fetch:
    """Asks the store."""

    def __init__(self, database: Database, heard: Heard) -> None:
        self._database = database
        self._heard = heard

    def facts(self, where: Where, now: int, listening: int) -> Facts:
        """Everything the question needs, but for the containers."""
        watched = self.watches(where)
        lost = Losses(self.rows(sql.losses(where), sql.MAX_LOSSES))
        listed = self.rows(sql.nodes(where), sql.MAX_NODES)
        labels = self.rows(sql.namespaces(where), sql.MAX_NAMESPACES)
        nodes = gather.nodes(listed, watched, lost)
        silences = self.rows(sql.silences(where, gather.CUT_OFF), sql.MAX_SPANS)
        earliest = min([where.begin, *(int(row["begin_"]) for row in silences)])
        hub_down = self._spans("hub_down", replace(where, begin=earliest))
        return Facts(
            begin=where.begin,
            end=where.end,
            now=now,
            nodes=nodes,
            losses=lost,
            labels={(row["cluster"], row["namespace"]): dict(row["labels_"]) for row in labels},
            inventories=frozenset(str(row["cluster"]) for row in (*listed, *labels)),
            listening=listening,
            hub_down=tuple(pair for pair in hub_down if pair[1] > where.begin),
            cut_off=tuple(gather.cut_off(silences, nodes, hub_down)),
            inventory_off=self._spans("inventory_off", where),
        )

    def watches(self, where: Where) -> dict[NodeKey, Watch]:
        """Who watched each node."""
        signs = self.signs(where.end)
        for spool, seconds in self._heard().items():
            signs[spool] = max(signs.get(spool, 0), min(int(seconds * 1e9), where.end))
        return gather.watches(
            self.rows(sql.agents(where), sql.MAX_AGENTS),
            self.rows(sql.outages(where), sql.MAX_OUTAGES),
            signs,
        )

    def signs(self, until: int) -> dict[str, int]:
        """When each agent was last heard of before that, by spool."""
        rows = self.rows(sql.signs(Where(until, until)), sql.MAX_AGENTS)
        return {str(row["agent"]): int(row["last"]) for row in rows}

    def containers(self, where: Where, nodes: Mapping[NodeKey, Node]) -> Iterator[Container]:
        """Each container that ran within the time; raise QuestionError if they are too many."""
        count = 0
        for part in self._parts(where):
            told = self.stream(sql.watched(where, part), sql.MAX_CONTAINERS)
            listed = self.stream(sql.known(where, part), sql.MAX_CONTAINERS)
            for one in gather.containers(told, listed, nodes):
                count += 1
                if count > sql.MAX_CONTAINERS:
                    raise too_many(sql.MAX_CONTAINERS)
                yield one

    def _parts(self, where: Where) -> Iterator[sql.Part]:
        """A part for every so many containers that are known of, whether they ran within the time or not."""
        most = max(int(row["containers"]) for query in sql.sizes(where) for row in self.rows(query, 1))
        count = -(-most // sql.PART) or 1
        return (sql.Part(number, count) for number in range(count))

    def told(self, where: Where) -> list[Record]:
        """What agents told of the containers of a name; few, so all at once."""
        return self.rows(sql.watched(where), sql.MAX_CONTAINERS)

    def listed(self, where: Where) -> list[Record]:
        """What the API server told of them."""
        return self.rows(sql.known(where), sql.MAX_CONTAINERS)

    def rows(self, query: Query, most: int) -> list[Record]:
        """All rows; raise QuestionError if there are more than `most`."""
        return list(self.stream(query, most))

    def stream(self, query: Query, most: int) -> Iterator[Record]:
        """Row by row, because 100,000 of them are a hundred megabytes."""
        count = 0
        for block in self._database.lines(query.sql, query.parameters):
            for line in BytesIO(block):  # not all lines at once: a block can be large
                count += 1
                if count > most:
                    raise too_many(most)
                yield orjson.loads(line)

    def _spans(self, cause: str, where: Where) -> Intervals:
        rows = self.rows(sql.spans(cause, where), sql.MAX_SPANS)
        return union((int(row["begin_"]), int(row["end_"])) for row in rows)


def too_many(most: int) -> QuestionError:
    """More than can be answered at once."""
    what = f"this concerns more than {most:,} rows"
    return QuestionError("since", what, "ask for a namespace, a shorter time")
