"""The server variant differs from the embedded one only in where the bytes come from.

There is no server in these tests: only the text is compared.
"""

from __future__ import annotations

from pathlib import Path

from keelwatch.store.clickhouse import batch_sql
from keelwatch.store.database import Insertion, Source
from keelwatch.store.insert import insert_sql

COLUMNS = {
    "time": "DateTime64(9, 'UTC')",
    "kind": "String",
    "spool": "String",
    "seq": "UInt64",
    "row": "UInt32",
    "day": "Date",
}


def test_rows_are_read_from_the_body() -> None:
    source = Source(Path("/x"), "sp'ool", 7, 1)
    insertion = Insertion("gaps", "rows", "2026-01-15", [source], 0)
    sql = batch_sql(insertion, COLUMNS, source, insert_sql)
    assert sql.startswith(
        "INSERT INTO gaps (time, kind, spool, seq, row, day) SELECT "
        "fromUnixTimestamp64Nano(time, 'UTC'), kind, 'sp\\'ool', 7, "
        "toUInt32(rowNumberInAllBlocks() + throwIf("
    )
    assert " FROM input('time Int64, kind String') SETTINGS " in sql
    assert sql.endswith(" FORMAT JSONEachRow")
