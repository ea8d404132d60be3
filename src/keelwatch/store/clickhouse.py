"""A ClickHouse server or cluster as the store, over clickhouse-connect (an optional dependency).

Each batch is one insertion here: its bytes are streamed to the server, which reads them with
`input()`. The SQL is the embedded store's. The writer looks whether an insertion whose answer got lost is
stored; one that is still under way then is seen only by replicated tables, which drop a repeated block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from keelwatch.store.database import Insertion, Source, StoreError
from keelwatch.store.escape import Parameters, literal
from keelwatch.store.insert import Columns, Reading, insert_sql, select_sql, source_structure

_SETTINGS = {
    "date_time_output_format": "iso",
    "output_format_json_validate_utf8": 1,
    "output_format_json_quote_64bit_integers": 0,
    "max_execution_time": 60,
}


class ServerDatabase:
    """`Database` over HTTP. `url` is `http(s)://user:password@host:port/database`."""

    groups = False

    def __init__(self, url: str) -> None:
        try:
            import clickhouse_connect  # optional: only this store needs it
        except ImportError as error:
            raise StoreError("a ClickHouse server needs `pip install clickhouse-connect`") from error
        self._client: Any = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
        self._columns: dict[str, Columns] = {}

    def execute(self, sql: str) -> None:
        """See Database."""
        self._call(self._client.command, sql)

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """See Database."""
        return [
            orjson.loads(line) for block in self.lines(sql, parameters) for line in block.splitlines() if line
        ]

    lookup = query

    def lines(self, sql: str, parameters: Parameters | None = None) -> Iterator[bytes]:
        """See Database."""
        stream = self._call(
            self._client.raw_stream,
            sql,
            parameters=dict(parameters or {}),
            fmt="JSONEachRow",
            settings=_SETTINGS,
        )
        rest = b""
        with stream:
            for block in _blocks(stream):
                head, newline, tail = (rest + block).rpartition(b"\n")
                rest = tail
                if newline:
                    yield head + newline

    def insert(self, insertion: Insertion) -> None:
        """See Database. There is no way to store several bodies as a whole, so it is one batch."""
        (source,) = insertion.sources
        columns = self._columns_of(insertion.table)
        self._send(batch_sql(insertion, columns, source, insert_sql), source)

    def readable(self, insertion: Insertion) -> None:
        """See Database."""
        columns = self._columns_of(insertion.table)
        for source in insertion.sources:
            sql = batch_sql(insertion, columns, source, select_sql)
            self._send(f"INSERT INTO FUNCTION null('_ UInt8') SELECT 1 FROM ({sql})", source)

    def close(self) -> None:
        """See Database."""
        self._client.close()

    def _send(self, sql: str, source: Source) -> None:
        encoding = {"Content-Encoding": "zstd"}
        self._call(self._client.command, sql, data=source.path.read_bytes(), transport_settings=encoding)

    def _columns_of(self, table: str) -> Columns:
        if table not in self._columns:
            rows = self.query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
                "AND table = {table:String} ORDER BY position",
                {"table": table},
            )
            self._columns[table] = {row["name"]: row["type"] for row in rows}
        return self._columns[table]

    def _call(self, method: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except Exception as error:
            raise StoreError(str(error)) from error


def _blocks(stream: Any) -> Iterator[bytes]:
    try:
        yield from stream
    except Exception as error:
        raise StoreError(str(error)) from error


def batch_sql(
    insertion: Insertion,
    columns: Columns,
    source: Source,
    make: Callable[[Insertion, Columns, Reading], str],
) -> str:
    """The statement for one batch whose bytes are sent behind it."""
    structure = source_structure(insertion, columns)
    kind = "RowBinary" if insertion.format == "chunks" else "JSONEachRow"
    reading = Reading(
        source=f"input({literal(structure)})",
        spool=literal(source.spool),
        seq=str(source.seq),
        row="rowNumberInAllBlocks()",
        node=literal(source.node),
    )
    return f"{make(insertion, columns, reading)} FORMAT {kind}"
