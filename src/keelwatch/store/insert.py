"""SQL that turns shipped batches into rows: the engine splits and parses, Python does not.

Where a record's origin comes from is an expression, because an embedded store reads many batches in one
statement (each record carries a stamp), while a server gets one batch at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from keelwatch.model.identity import IDENTITY_COLUMNS
from keelwatch.model.logchunk import STRUCTURE
from keelwatch.store.database import Insertion
from keelwatch.store.escape import literal

Columns = dict[str, str]
"""Name → type of the columns of a table, in order."""

ORIGIN = ("spool", "seq", "row", "day")

_IDENTITY = ", ".join(IDENTITY_COLUMNS)

# One block of any size becomes one part: a group is wholly there or not at all. Without the strict
# limits the engine writes early when the server's memory runs short, and a group becomes two parts.
ONE_PART = (
    "max_insert_threads = 1, min_insert_block_size_rows = 1000000000, "
    "min_insert_block_size_bytes = 100000000000, max_insert_block_size = 1000000000, "
    "max_insert_block_size_bytes = 0, use_strict_insert_block_limits = 1, max_partitions_per_insert_block = 1"
)
READ_SETTINGS = (
    "input_format_skip_unknown_fields = 1, input_format_null_as_default = 1, "
    "input_format_parallel_parsing = 0, format_binary_max_string_size = 67108864, "
    f"input_format_max_block_size_bytes = {8 << 20}"
)

_SPARE_ROWS = 100_000

FOREIGN_ROWS = "the batch holds rows of another node than its own"
"""The engine's error for a batch whose rows do not say what its header says."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The expressions behind FROM and for a record's batch: spool, seq, the row's index, the node."""

    source: str
    spool: str
    seq: str
    row: str
    node: str


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


def insert_sql(insertion: Insertion, columns: Columns, reading: Reading) -> str:
    """The whole INSERT."""
    names = ", ".join(columns)
    select = select_sql(insertion, columns, reading)
    return f"INSERT INTO {insertion.table} ({names}) {select} SETTINGS {ONE_PART}, {READ_SETTINGS}"


def select_sql(insertion: Insertion, columns: Columns, reading: Reading) -> str:
    """The SELECT that gives the table's columns in order."""
    make = _chunks if insertion.format == "chunks" else _rows
    return make(insertion, columns, reading)


def _rows(insertion: Insertion, columns: Columns, reading: Reading) -> str:
    own = {
        "spool": reading.spool,
        "seq": reading.seq,
        "row": _bounded(insertion, reading.row),
        "day": f"toDate({literal(insertion.day)})",
        "node": f"if({_no_foreign(reading)}, node, '')",
    }
    chosen = [_row_value(name, kind, own) for name, kind in columns.items()]
    return f"SELECT {', '.join(chosen)} FROM {reading.source}"


def _bounded(insertion: Insertion, row: str) -> str:
    """The row's index, or an error: a small body can unpack to very many rows.

    A header may be a little wrong about its rows (which is stored, and reported), but not by much.
    """
    limit = 2 * max(source.rows for source in insertion.sources) + _SPARE_ROWS
    return f"toUInt32({row} + throwIf({row} > {limit}, 'the batch holds more rows than announced'))"


def _no_foreign(reading: Reading) -> str:
    """True, or an error for a row that names another node than the header of its batch."""
    foreign = f"node != '' AND {reading.node} != '' AND {reading.node} != node"
    return f"throwIf({foreign}, {literal(FOREIGN_ROWS)}) = 0"


def _row_value(name: str, kind: str, origin: dict[str, str]) -> str:
    if name in origin:
        return origin[name]
    if kind.startswith("DateTime64"):
        return f"fromUnixTimestamp64Nano({name}, 'UTC')"
    return name


# A CRI line is `<time>Z <stdout|stderr> <F|P> <message>`; both stream names have six letters, so
# behind the first blank (at p) everything has its place. Chunks that are not so are first turned
# into it line by line: Docker's json-file records, and time stamps with a zone offset (told by the
# first and the last line: a zone can change to or from UTC within a chunk). A line that is neither
# is kept as it is, with an empty stream and the time of its chunk's first or last line.
_CHUNKS = """SELECT {chosen} FROM (
    SELECT *, toDateTime64OrZero(substring(line, 1, p - 2), 9, 'UTC') AS stamp,
        p > 19 AND p < 40 AND stamp > toDateTime64('2000-01-01 00:00:00', 9, 'UTC')
            AND substring(line, p - 1, 11) IN ({heads}) AS valid
    FROM (
        SELECT {identity}, spool_, seq_, near, first_row + n - 1 AS row_, line, position(line, ' ') AS p
        FROM (
            SELECT {identity}, {spool} AS spool_, {seq} AS seq_, first_row, format = 'json-file' AS json,
                splitByChar('\\n', substring(chunk, 1, length(chunk) - endsWith(chunk, '\\n'))) AS raw,
                NOT json AND {first_utc} AND {last_utc} AS plain,
                if(plain, raw, arrayMap(record -> if(json, {as_cri}, {as_utc}), if(plain, [], raw))) AS lines,
                coalesce({first_time}, {last_time}, fromUnixTimestamp64Nano({fallback}, 'UTC')) AS near
            FROM {source} WHERE chunk != '' AND {no_foreign}
        ) ARRAY JOIN lines AS line, arrayEnumerate(lines) AS n
    )
)"""

_LOG_VALUES = {
    "time": "if(valid, stamp, near)",
    "stream": "substring(line, p + 1, if(valid, 6, 0))",
    "message": "substring(line, if(valid, p + 10, 1))",
    "spool": "spool_",
    "seq": "seq_",
}

_AS_CRI = (
    "if(JSONExtractString(record, 'time') = '', record, concat(JSONExtractString(record, 'time'), ' ', "
    "JSONExtractString(record, 'stream'), ' F ', trim(TRAILING '\\n' FROM JSONExtractString(record, 'log'))))"
)

# `2026-01-01T01:00:00.5+01:00 …` → `2026-01-01T00:00:00.500000000Z …`
_STAMP = "extract(record, '^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18})[+-][0-9]{2}:[0-9]{2} ')"
_SIGN = "if(substring(record, length(local) + 1, 1) = '-', 1, -1)"
_HOURS = "toInt32OrZero(substring(record, length(local) + 2, 2))"
_MINUTES = "toInt32OrZero(substring(record, length(local) + 5, 2))"
_MOVED = (
    f"toDateTime64OrZero(local, 9, 'UTC') + toIntervalSecond({_SIGN} * ({_HOURS} * 3600 + {_MINUTES} * 60))"
)
_AS_UTC = (
    "arrayMap(local -> if(local = '', record, "
    f"concat(replaceOne(toString({_MOVED}), ' ', 'T'), 'Z', substring(record, length(local) + 7))), "
    f"[{_STAMP}])[1]"
)


def _chunks(insertion: Insertion, columns: Columns, reading: Reading) -> str:
    values = {**_LOG_VALUES, "row": _bounded(insertion, "row_"), "day": f"toDate({literal(insertion.day)})"}
    return _CHUNKS.format(
        chosen=", ".join(values.get(name, name) for name in columns),
        identity=_IDENTITY,
        no_foreign=_no_foreign(reading),
        spool=reading.spool,
        seq=reading.seq,
        as_cri=_AS_CRI,
        as_utc=_AS_UTC,
        heads="'Z stdout F ', 'Z stdout P ', 'Z stderr F ', 'Z stderr P '",
        first_utc=_edge_utc(1),
        last_utc=_edge_utc(-1),
        first_time=_edge_time(1),
        last_time=_edge_time(-1),
        fallback=insertion.fallback_time,
        source=reading.source,
    )


def _edge_utc(index: int) -> str:
    """Whether a chunk's first (1) or last (-1) line has no zone offset, as far as one can see."""
    return f"NOT match(substring(raw[{index}], 20, 17), '^[.0-9]*[+-][0-9][0-9]:')"


def _edge_time(index: int) -> str:
    """The time of a chunk's first (1) or last (-1) line, to the second, or NULL."""
    line = f"raw[{index}]"
    stamp = f"substring(if(json, JSONExtractString({line}, 'time'), {line}), 1, 19)"
    return f"if(substring({stamp}, 11, 1) = 'T', toDateTime64OrNull({stamp}, 9, 'UTC'), NULL)"
