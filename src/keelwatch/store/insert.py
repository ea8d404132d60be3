"""SQL that turns shipped batches into rows: the engine splits and parses, Python does not.

`spool` and `seq` are expressions, because an embedded store reads many files in one statement
(they are in the file's name), while a server gets one batch at a time.
"""

from __future__ import annotations

from keelwatch.model.identity import IDENTITY_COLUMNS
from keelwatch.model.logchunk import STRUCTURE
from keelwatch.store.database import Insertion
from keelwatch.store.escape import literal

Columns = dict[str, str]
"""Name → type of the columns of a table, in order."""

ORIGIN = ("spool", "seq", "row", "day")

_IDENTITY = ", ".join(IDENTITY_COLUMNS)

# One block of any size becomes one part: an acknowledged group is wholly there or not at all.
ONE_PART = (
    "max_insert_threads = 1, min_insert_block_size_rows = 1000000000, "
    "min_insert_block_size_bytes = 100000000000, max_insert_block_size = 1000000000, "
    "max_partitions_per_insert_block = 1"
)
READ_SETTINGS = (
    "input_format_skip_unknown_fields = 1, input_format_null_as_default = 1, "
    "input_format_parallel_parsing = 0, format_binary_max_string_size = 67108864"
)


def chunk_structure() -> str:
    """The columns of a chunk file. Few identities repeat: dictionaries are cheaper than strings."""
    structure = STRUCTURE
    for name in IDENTITY_COLUMNS:
        structure = structure.replace(f" {name} String", f" {name} LowCardinality(String)")
    return structure


def row_structure(columns: Columns) -> str:
    """The columns of a rows file: as in the table, but times are integers (nanoseconds)."""
    return ", ".join(
        f"{name} {'Int64' if kind.startswith('DateTime64') else kind}"
        for name, kind in columns.items()
        if name not in ORIGIN
    )


def source_structure(insertion: Insertion, columns: Columns) -> str:
    """The structure of the insertion's files."""
    return chunk_structure() if insertion.format == "chunks" else row_structure(columns)


def insert_sql(insertion: Insertion, columns: Columns, source: str, spool: str, seq: str, row: str) -> str:
    """The whole INSERT. `row` is the expression of the row's index in its file (rows format)."""
    names = ", ".join(columns)
    select = select_sql(insertion, columns, source, spool, seq, row)
    return f"INSERT INTO {insertion.table} ({names}) {select} SETTINGS {ONE_PART}, {READ_SETTINGS}"  # noqa: S608  # no user input


def select_sql(insertion: Insertion, columns: Columns, source: str, spool: str, seq: str, row: str) -> str:
    """The SELECT that gives the table's columns in order."""
    if insertion.format == "chunks":
        return _chunks(insertion, columns, source, spool, seq)
    return _rows(insertion, columns, source, spool, seq, row)


def _rows(insertion: Insertion, columns: Columns, source: str, spool: str, seq: str, row: str) -> str:
    origin = {"spool": spool, "seq": seq, "row": row, "day": f"toDate({literal(insertion.day)})"}
    chosen = [_row_value(name, kind, origin) for name, kind in columns.items()]
    return f"SELECT {', '.join(chosen)} FROM {source}"  # noqa: S608  # no user input


def _row_value(name: str, kind: str, origin: dict[str, str]) -> str:
    if name in origin:
        return origin[name]
    if kind.startswith("DateTime64"):
        return f"fromUnixTimestamp64Nano({name}, 'UTC')"
    return name


# json-file records are first turned into CRI lines, so that one path parses both. A CRI line is
# `<time> <stdout|stderr> <F|P> <message>`; both stream names have six letters, so behind the first
# blank (at p) everything has its place. A line that is not like that is kept as it is, with an
# empty stream and the time of its chunk's first or last line.
_CHUNKS = """SELECT {chosen} FROM (
    SELECT *, substring(line, p - 1, 1) = 'Z' AS zulu,
        toDateTime64OrNull(substring(line, 1, if(zulu, p - 2, p - 7)), 9, 'UTC') AS local,
        p > 19 AND p < 40 AND substring(line, 11, 1) = 'T'
            AND substring(line, p, 10) IN (' stdout F ', ' stdout P ', ' stderr F ', ' stderr P ')
            AND isNotNull(local) AND local > toDateTime64('2000-01-01 00:00:00', 9, 'UTC') AS valid
    FROM (
        SELECT {identity}, spool_, seq_, near, first_row + n - 1 AS row_, line, position(line, ' ') AS p
        FROM (
            SELECT {identity}, {spool} AS spool_, {seq} AS seq_, first_row,
                substring(chunk, 1, length(chunk) - endsWith(chunk, '\\n')) AS text,
                if(format = 'json-file',
                    arrayMap(record -> {as_cri}, splitByChar('\\n', if(format = 'json-file', text, ''))),
                    splitByChar('\\n', if(format = 'json-file', '', text))) AS lines,
                coalesce({first_time}, {last_time}, fromUnixTimestamp64Nano({fallback}, 'UTC')) AS near
            FROM {source} WHERE chunk != ''
        ) ARRAY JOIN lines AS line, arrayEnumerate(lines) AS n
    )
)"""

_AS_CRI = (
    "if(JSONExtractString(record, 'time') = '', record, concat(JSONExtractString(record, 'time'), ' ', "
    "JSONExtractString(record, 'stream'), ' F ', trimRight(JSONExtractString(record, 'log'), '\\n')))"
)

_OFFSET = (
    "if(zulu, 0, (toInt32OrZero(substring(line, p - 5, 2)) * 3600 + toInt32OrZero(substring(line, p - 2, 2)) * 60)"
    " * if(substring(line, p - 6, 1) = '-', -1, 1))"
)

_LOG_VALUES = {
    "time": f"if(valid, assumeNotNull(local) - toIntervalSecond({_OFFSET}), near)",
    "stream": "substring(line, p + 1, if(valid, 6, 0))",
    "message": "substring(line, if(valid, p + 10, 1))",
    "spool": "spool_",
    "seq": "seq_",
    "row": "row_",
}


def _chunks(insertion: Insertion, columns: Columns, source: str, spool: str, seq: str) -> str:
    values = {**_LOG_VALUES, "day": f"toDate({literal(insertion.day)})"}
    return _CHUNKS.format(
        chosen=", ".join(values.get(name, name) for name in columns),
        identity=_IDENTITY,
        spool=spool,
        seq=seq,
        as_cri=_AS_CRI,
        first_time=_edge_time(1),
        last_time=_edge_time(-1),
        fallback=insertion.fallback_time,
        source=source,
    )


def _edge_time(index: int) -> str:
    """The time of a chunk's first (1) or last (-1) line, to the second, or NULL."""
    stamp = f"substring(lines[{index}], 1, 19)"
    return f"if(substring(lines[{index}], 11, 1) = 'T', toDateTime64OrNull({stamp}, 9, 'UTC'), NULL)"
