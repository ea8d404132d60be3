"""Whether the store has every batch that agents numbered: a proof that nothing was lost behind them.

Each agent numbers the batches of each table. A number that is missing between two that are there was
lost on the way or in the store, unless a gap says that it was refused or believed lost already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from keelwatch.model.batch import TABLES
from keelwatch.query import sequence as sql
from keelwatch.query.coverage import Where
from keelwatch.query.records import Query
from keelwatch.store.database import Database

Record = dict[str, Any]


class Sequences:
    """Asks the store; blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self, where: Where) -> list[Record]:
        """One for each table: spools, batches, and how many numbers are missing, explained and not."""
        explained = self._explained()
        return [self._table(table, where, explained) for table in TABLES]

    def _table(self, table: str, where: Where, explained: Counter[tuple[str, str]]) -> Record:
        spools, batches, told, unexplained = 0, 0, 0, []
        for row in self._rows(sql.batches(table, where)):
            spools += 1
            batches += int(row["batches"])
            holes = int(row["last"]) - int(row["first"]) + 1 - int(row["batches"])
            known = min(holes, explained[str(row["spool"]), table])
            told += known
            if holes > known:
                unexplained.append({"spool": row["spool"], "node": row["node_"], "batches": holes - known})
        return {
            "table": table,
            "agents": spools,
            "batches": batches,
            "missing": sum(one["batches"] for one in unexplained),
            "explained": told,
            "where": unexplained[:100],
        }

    def _explained(self) -> Counter[tuple[str, str]]:
        """Batches that a gap accounts for, by spool and table."""
        return Counter(
            {(str(row["spool"]), str(row["what"])): int(row["batches"]) for row in self._rows(sql.EXPLAINED)}
        )

    def _rows(self, query: Query) -> Iterator[dict[str, Any]]:
        yield from self._database.query(query.sql, query.parameters)
