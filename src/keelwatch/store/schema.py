"""The columns that the tables share, and the expansion of a migration's placeholders.

What is here is part of each migration that names it, so it is as frozen as those are: a column more
is a new migration with an ALTER (or a new name here), never an edit. Tests compare 0001 as expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from keelwatch.model.identity import IDENTITY_COLUMNS
from keelwatch.store.engines import Engines

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?::([a-z_]+))?\}")

_IDENTITY = ",\n    ".join(
    f"{name} UInt32" if name == "restart" else f"{name} LowCardinality(String)" for name in IDENTITY_COLUMNS
)

# `highest` keeps the truth after a restart cheap to ask; `seq_range` finds the rows of one batch.
_ORIGIN = """spool LowCardinality(String),
    seq UInt64 CODEC(Delta, ZSTD(1)),
    row UInt32 CODEC(Delta, ZSTD(1)),
    day Date,
    INDEX seq_range seq TYPE minmax GRANULARITY 1,
    PROJECTION highest (SELECT spool, max(seq) GROUP BY spool)"""

_PROCESS = """pid UInt32,
    ppid UInt32,
    uid UInt32,
    gid UInt32,
    loginuid Int64,
    tty UInt32,
    comm String,
    exe String,
    cmdline String CODEC(ZSTD(1)),
    cwd String,
    process String CODEC(ZSTD(1)),
    ancestors String CODEC(ZSTD(1))"""

_FILE = """path String,
    path_source LowCardinality(String),
    old_path String,
    old_path_source LowCardinality(String),
    flags UInt64,
    mode UInt32,
    inode UInt64,
    device UInt64,
    size UInt64,
    upper UInt8,
    memfd UInt8,
    created UInt8,
    truncated UInt8,
    sha256 String,
    drift LowCardinality(String),
    file_namespace LowCardinality(String),
    file_pod LowCardinality(String),
    file_container LowCardinality(String),
    file_container_id LowCardinality(String),
    file_workload LowCardinality(String)"""

_SHARED = {"identity": _IDENTITY, "origin": _ORIGIN, "process": _PROCESS, "file": _FILE}


def expand(text: str, engines: Engines) -> str:
    """Fill the placeholders of a migration; raise KeyError for one that does not exist."""

    def fill(match: re.Match[str]) -> str:
        name, table = match.groups()
        if name == "engine":
            return engines.engine(table)
        if name == "on_cluster":
            return engines.on_cluster
        if name == "settings":
            return engines.settings
        return _SHARED[name]

    return _PLACEHOLDER.sub(fill, text)


def statements(text: str) -> Iterator[str]:
    """Yield the statements of a migration: each ends with a semicolon at the end of a line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    for statement in re.split(r";[ \t]*(?:\n|$)", "\n".join(lines)):
        if statement.strip():
            yield statement.strip()
