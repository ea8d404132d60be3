"""Which agents there are, and which node each spool belongs to.

All agents may share a token, so it does not tell them apart. A spool's id does: it is random, only
its agent and the hub know it, and what comes under it has to come from the node it first came from.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from keelwatch.ingest.unpack import Received
from keelwatch.model.identity import Identity
from keelwatch.store.database import Database

MAX_JUMP = 100_000_000
"""Batches by which a spool's numbers may jump ahead: more than an agent makes in months, so a hub that
was restored from an old backup still takes them, while nobody can use up a spool's numbers."""


class ForeignError(RuntimeError):
    """Batches that do not belong to their spool. Nothing of the request was taken."""


class ImpostorError(ForeignError):
    """Batches of another node than the one the sender's token is good for. `claimed` is that node."""

    def __init__(self, message: str, claimed: str) -> None:
        super().__init__(message)
        self.claimed = claimed


@dataclass(slots=True)
class Agent:
    """What is known of an agent's spool since the hub's start."""

    spool: str
    node: str = ""
    address: str = ""
    last_seen: float = 0.0
    batches: int = 0
    rows: int = 0


class Agents:
    """The agents by spool. A spool's node outlives the hub in the records of the agent's lifecycle."""

    def __init__(self, database: Database) -> None:
        self._lock = threading.Lock()
        self._agents = {spool: Agent(spool, node) for spool, node in _known(database)}

    def all(self) -> list[Agent]:
        """The agents, by node."""
        with self._lock:
            return sorted(self._agents.values(), key=lambda agent: (agent.node, agent.spool))

    def asked(self, spool: str, address: str) -> None:
        """An agent that is known asked about its spool: it is there, if it has nothing to send."""
        agent = self._agents.get(spool)
        if agent is not None:
            agent.address, agent.last_seen = address, time.time()

    def node_of(self, spool: str) -> str:
        """The node that a spool belongs to; "" while nothing is known of it."""
        agent = self._agents.get(spool)
        return agent.node if agent else ""

    def sent(self, batches: Sequence[Received], address: str) -> None:
        """Note who sent batches of one spool; raise ForeignError if it is another node than before."""
        with self._lock:
            spool = batches[0].spool
            node = _node(batches, self._agents.get(spool, Agent(spool)).node)
            agent = self._agents.setdefault(spool, Agent(spool))
            agent.node, agent.address, agent.last_seen = node, address, time.time()
            agent.batches += len(batches)
            agent.rows += sum(batch.header.rows for batch in batches)


def check_jump(batches: Iterable[Received], stored: Mapping[str, int]) -> None:
    """Raise ForeignError for a number absurdly far above what is `stored` of its table."""
    for batch in batches:
        highest = stored.get(batch.header.table, 0)
        if highest and batch.seq > highest + MAX_JUMP:
            raise ForeignError(
                f"{batch.header.table} batch {batch.seq} of spool {batch.spool} cannot follow on {highest}"
            )


def check_spool(batches: Sequence[Received], own: str) -> None:
    """Raise ForeignError for batches in the hub's own spool, whose numbers nobody else may use up."""
    if batches[0].spool == own:
        raise ForeignError(f"spool {own} is the hub's own")


def check_node(batches: Iterable[Received], node: str) -> None:
    """Raise ImpostorError for a batch of another node than the sender's own (`node`; "" may be any)."""
    for batch in batches:
        if node and batch.header.node != node:
            raise ImpostorError(
                f"spool {batch.spool} has records of the node {batch.header.node!r}, but this token is good "
                f"for {node!r} only: a spool stays with its node; another node needs one of its own",
                batch.header.node,
            )


def place_of(database: Database, spool: str, node: str) -> Identity:
    """Where a spool's losses belong: the node of its batches, and the cluster that its agent named.

    The hub sees no more of a batch than its header, which does not name the cluster; the agent's own
    records of its lifecycle do. "" while none of them is stored.
    """
    rows = database.lookup(
        "SELECT argMax(cluster, seq) AS cluster_, argMax(node, seq) AS node_ FROM lifecycle "
        "WHERE spool = {spool:String} AND cluster != ''",
        {"spool": spool},
    )
    return Identity(cluster=str(rows[0]["cluster_"]), node=node or str(rows[0]["node_"]))


def _node(batches: Iterable[Received], bound: str) -> str:
    for batch in batches:
        if bound and batch.header.node != bound:
            raise ForeignError(
                f"spool {batch.spool} belongs to the node {bound!r}, not {batch.header.node!r}: "
                "a machine that is a copy of another needs a spool directory of its own"
            )
        bound = batch.header.node
    return bound


def _known(database: Database) -> list[tuple[str, str]]:
    rows = database.lookup(
        "SELECT spool, argMinIf(node, seq, node != '') AS node FROM lifecycle "
        "WHERE NOT startsWith(spool, 'hub-') GROUP BY spool"  # the hub's own rows are of many nodes
    )
    return [(row["spool"], row["node"]) for row in rows]
