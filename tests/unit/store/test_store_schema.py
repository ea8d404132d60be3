from __future__ import annotations

import pytest

from keelwatch.model.batch import TABLES
from keelwatch.store.engines import EMBEDDED, Engines
from keelwatch.store.insert import chunk_structure, row_structure
from keelwatch.store.migrate import migrations
from keelwatch.store.schema import expand, statements


def test_every_table_is_made_for_one_machine_and_for_a_cluster() -> None:
    text = migrations()[0].text
    for engines, wanted in (
        (EMBEDDED, "ENGINE = MergeTree "),
        (Engines("prod"), "ENGINE = ReplicatedMergeTree("),
    ):
        found = list(statements(expand(text, engines)))
        assert len(found) == len(TABLES)
        for statement, table in zip(found, TABLES, strict=True):
            assert statement.startswith(f"CREATE TABLE {table}")
            assert wanted in statement
            assert "fsync_after_insert = 1" in statement
            assert ("ON CLUSTER `prod`" in statement) == bool(engines.cluster)


def test_a_cluster_keeps_each_table_at_a_path_of_its_own() -> None:
    assert Engines("prod").engine("logs") == (
        "ReplicatedMergeTree('/clickhouse/tables/{shard}/keelwatch/logs', '{replica}')"
    )


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(KeyError):
        expand("CREATE TABLE x ({nonsense})", EMBEDDED)


def test_numbers_of_migrations_are_one_row() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_files_have_times_as_integers_and_no_origin() -> None:
    columns = {
        "time": "DateTime64(9, 'UTC')",
        "kind": "LowCardinality(String)",
        "spool": "String",
        "row": "UInt32",
    }
    assert row_structure(columns) == "time Int64, kind LowCardinality(String)"
    assert "chunk String" in chunk_structure()
    assert "pod LowCardinality(String)" in chunk_structure()
