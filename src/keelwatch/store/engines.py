"""The one place where an embedded store, a ClickHouse server and a cluster differ in SQL."""

from __future__ import annotations

from dataclasses import dataclass

# An acknowledged batch must survive a power cut, so a part is synced before the insert returns.
_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"


@dataclass(frozen=True, slots=True)
class Engines:
    """Engine clauses. `cluster` is empty for one machine, else the name of the ClickHouse cluster."""

    cluster: str = ""

    def engine(self, table: str) -> str:
        """The ENGINE clause of a table."""
        if not self.cluster:
            return "MergeTree"
        return f"ReplicatedMergeTree('/clickhouse/tables/{{shard}}/keelwatch/{table}', '{{replica}}')"

    @property
    def on_cluster(self) -> str:
        """What stands behind the name in CREATE and ALTER."""
        return f" ON CLUSTER `{self.cluster}`" if self.cluster else ""

    @property
    def settings(self) -> str:
        """Table settings."""
        return _DURABLE


EMBEDDED = Engines()
