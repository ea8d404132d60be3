"""The embedded store: chDB, ClickHouse as a library. One process owns the store's directory.

Queries on one connection wait for each other, so there is a pool of them for readers, one for each
table that is written, and one for what the intake asks. Readers have limits of memory and time, so
that no query can take the hub down.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chdb
import orjson

from keelwatch.store.bundle import Bundle, bundled
from keelwatch.store.database import BusyError, Insertion, StoreError, printable
from keelwatch.store.escape import Parameters, literal, parameters
from keelwatch.store.insert import READ_SETTINGS, Columns, Reading, insert_sql, select_sql, source_structure

_log = logging.getLogger(__name__)

_DATABASE = "keelwatch"
_START_PAUSES = (0.5, 1.0)
_BLOCK = 8192
_INSERT_SECONDS = 300
_READABLE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the embedded engine: bytes, seconds, connections."""

    server_memory: int = 1_500_000_000
    query_memory: int = 500_000_000
    insert_memory: int = 1_200_000_000
    query_seconds: int = 60
    readers: int = 8
    wait_seconds: float = 10.0


def _connected(address: str) -> Any:
    """Start the engine. Rarely two of its threads get in each other's way at that; then once more."""
    for pause in _START_PAUSES:
        try:
            return chdb.connect(address)
        except RuntimeError as error:
            _log.warning("the store did not open, trying again: %s", printable(str(error), 300))
            time.sleep(pause)
    return chdb.connect(address)


class EmbeddedDatabase:
    """`Database` over chDB. `path` is made if it is missing."""

    groups = True

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = path.with_name(path.name + ".xml")
        config.write_text(_config(self._limits), encoding="utf-8")
        self._address = f"{path}?config-file={config}"
        self._admin = _connected(self._address)
        self._admin_lock = threading.Lock()
        self._run(self._admin, f"CREATE DATABASE IF NOT EXISTS {_DATABASE}")
        self._run(self._admin, f"USE {_DATABASE}")
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(self._limits.readers):
            self._free.put(None)  # opened when first needed
        self._writers: dict[str, tuple[Any, threading.Lock]] = {}
        self._writers_lock = threading.Lock()
        self._columns: dict[str, Columns] = {}
        self._open: list[Any] = []

    def execute(self, sql: str) -> None:
        """See Database."""
        with self._admin_lock:
            self._run(self._admin, sql)

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """See Database."""
        text = b"".join(self.lines(sql, parameters))
        return [orjson.loads(line) for line in text.splitlines()]

    def lookup(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """See Database."""
        connection, lock = self._own("", _reader_settings(self._limits))
        with lock:
            stream = self._send(connection, sql, parameters)
            try:
                text = b"".join(_blocks(stream))
            finally:
                stream.close()
        return [orjson.loads(line) for line in text.splitlines()]

    def lines(self, sql: str, parameters: Parameters | None = None) -> Iterator[bytes]:
        """See Database."""
        with self._reader() as connection:
            stream = self._send(connection, sql, parameters)
            try:
                yield from _blocks(stream)
            finally:
                stream.close()

    def insert(self, insertion: Insertion) -> None:
        """See Database."""
        columns = self.columns(insertion.table)
        with bundled(insertion) as bundle:
            self._write(insertion.table, insert_sql(insertion, columns, _reading(bundle, insertion, columns)))

    def readable(self, insertion: Insertion) -> None:
        """See Database."""
        columns = self.columns(insertion.table)
        settings = f"{READ_SETTINGS}, max_execution_time = {_READABLE_SECONDS}"
        with bundled(insertion) as bundle:
            select = select_sql(insertion, columns, _reading(bundle, insertion, columns))
            self._write(insertion.table, f"{select} SETTINGS {settings} FORMAT Null")

    def columns(self, table: str) -> Columns:
        """The columns of a table, as the engine knows them."""
        if table not in self._columns:
            rows = self.lookup(
                "SELECT name, type FROM system.columns WHERE database = {database:String} "
                "AND table = {table:String} ORDER BY position",
                {"database": _DATABASE, "table": table},
            )
            self._columns[table] = {row["name"]: row["type"] for row in rows}
        return self._columns[table]

    def close(self) -> None:
        """See Database."""
        for connection in (*self._open, *(found for found, _ in self._writers.values()), self._admin):
            connection.close()
        self._open.clear()
        self._writers.clear()

    def _write(self, table: str, sql: str) -> None:
        connection, lock = self._own(table, _writer_settings(self._limits))
        with lock:
            self._run(connection, sql)

    def _own(self, table: str, settings: str) -> tuple[Any, threading.Lock]:
        """The connection on which a table is written ("": the intake asks), and the lock of who does."""
        with self._writers_lock:
            if table not in self._writers:
                connection = chdb.connect(self._address)
                self._run(connection, f"USE {_DATABASE}")
                self._run(connection, settings)
                self._writers[table] = (connection, threading.Lock())
            return self._writers[table]

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        try:
            connection = self._free.get(timeout=self._limits.wait_seconds)
        except queue.Empty as error:
            raise BusyError("all connections of the store are in use") from error
        try:
            if connection is None:
                connection = self._open_reader()
            yield connection
        finally:
            self._free.put(connection)

    def _open_reader(self) -> Any:
        connection = chdb.connect(self._address)
        self._open.append(connection)
        self._run(connection, f"USE {_DATABASE}")
        self._run(connection, _reader_settings(self._limits))
        return connection

    def _send(self, connection: Any, sql: str, values: Parameters | None) -> Any:
        try:
            return connection.send_query(sql, "JSONEachRow", params=parameters(values or {}))
        except RuntimeError as error:
            raise StoreError(str(error)) from error

    def _run(self, connection: Any, sql: str) -> None:
        try:
            connection.query(sql, "Null")
        except RuntimeError as error:
            raise StoreError(str(error)) from error


def _blocks(stream: Any) -> Iterator[bytes]:
    try:
        for block in stream:
            yield block.bytes()
    except RuntimeError as error:
        raise StoreError(str(error)) from error


def _reading(bundle: Bundle, insertion: Insertion, columns: Columns) -> Reading:
    """How a bundle is read. A record without its stamp is none that the bundle's maker has seen."""
    kind = "RowBinary" if insertion.format == "chunks" else "JSONEachRow"
    structure = f"{bundle.structure}, {source_structure(insertion, columns)}"
    unseen = f"{bundle.spool} = '' OR _row_number < {bundle.begin}"
    refusal = f"throwIf({unseen}, 'the batch holds what is not a record a line')"
    return Reading(
        source=f"file({literal(bundle.files)}, '{kind}', {literal(structure)}, 'none')",
        spool=bundle.spool,
        seq=bundle.seq,
        row=f"(_row_number - {bundle.begin} + {refusal})",
        node=bundle.node,
    )


def _writer_settings(limits: Limits) -> str:
    """Settings of a connection that writes.

    The words of logs are indexed when parts are merged: a new part is small, is soon merged, and until
    then is searched without. At insertion the index would be a third of the work.
    """
    settings = {
        "max_memory_usage": limits.insert_memory,
        "max_execution_time": _INSERT_SECONDS,
        "exclude_materialize_skip_indexes_on_insert": "'message_tokens'",
    }
    return "SET " + ", ".join(f"{name} = {value}" for name, value in settings.items())


def _reader_settings(limits: Limits) -> str:
    settings = {
        "max_memory_usage": limits.query_memory,
        "max_execution_time": limits.query_seconds,
        "max_block_size": _BLOCK,
        "date_time_output_format": "'iso'",
        "output_format_json_validate_utf8": 1,
        "output_format_json_quote_64bit_integers": 0,
        "query_plan_max_limit_for_lazy_materialization": 100_000,
        "readonly": 2,
    }
    return "SET " + ", ".join(f"{name} = {value}" for name, value in settings.items())


def _config(limits: Limits) -> str:
    """Server settings: without these the caches may grow to half of the machine's memory.

    Merges can wait: what comes in goes first (needs CAP_SYS_NICE; without it they are equal). One
    merge at a time leaves a core for insertions; the pool is then always "nearly full", which
    must not make the engine refuse to merge all but the smallest parts.
    """
    server = {
        "max_server_memory_usage": limits.server_memory,
        "mark_cache_size": 64 << 20,
        "primary_index_cache_size": 64 << 20,
        "index_mark_cache_size": 32 << 20,
        "query_condition_cache_size": 16 << 20,
        "compiled_expression_cache_size": 16 << 20,
        "max_io_thread_pool_size": 16,
        "background_pool_size": 1,
        "background_merges_mutations_concurrency_ratio": 1,
        "os_threads_nice_value_merge_mutate": 10,
    }
    merges: dict[str, int | str] = {
        "number_of_free_entries_in_pool_to_lower_max_size_of_merge": 1,
        "number_of_free_entries_in_pool_to_execute_mutation": 1,
        "number_of_free_entries_in_pool_to_execute_optimize_entire_partition": 1,
        "max_bytes_to_merge_at_max_space_in_pool": 10 << 30,
        "auto_statistics_types": "",  # of each column, at each merge; our indexes do what they would
    }
    lines = [_element(*setting) for setting in server.items()]
    lines += ["<merge_tree>", *(_element(*setting) for setting in merges.items()), "</merge_tree>"]
    return "\n".join(["<clickhouse>", *lines, "</clickhouse>", ""])


def _element(name: str, value: int | str) -> str:
    return f"  <{name}>{value}</{name}>"
