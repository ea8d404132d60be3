"""Compares a hub's store, after the hub has ended, with the log files that went into it.

    python -m bench.compare_logs STORE < {"<namespace>_<pod>_<uid>/<container>": "path of its log"}

Rebuilds each line from the columns; two sets of lines are taken as equal if there are as many, and the
sums of two different hashes of them are the same. The engine reads the files itself, apart from all of
keelwatch. Prints {"lines", "different" (containers), "bytes" (on disk)}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import chdb

NAME = "concat(namespace, '_', pod, '_', pod_uid, '/', container)"
LINE = "concat(replaceOne(toString(time), ' ', 'T'), 'Z ', stream, ' F ', message)"  # the CRI log format
SUMS = "count() AS lines, sum(cityHash64({line})) AS sum, sum(sipHash64({line})) AS other"


def main() -> None:
    """The command line."""
    connection = chdb.connect(sys.argv[1])
    files: dict[str, str] = json.load(sys.stdin)
    stored = {
        row.pop("name"): row
        for row in _rows(
            connection,
            f"SELECT {NAME} AS name, {SUMS.format(line=LINE)} FROM keelwatch.logs GROUP BY name",
        )
    }
    different = 0
    for container, path in files.items():
        quoted = path.replace("\\", "\\\\").replace("'", "\\'")
        wanted = _rows(
            connection, f"SELECT {SUMS.format(line='line')} FROM file('{quoted}', 'LineAsString')"
        )[0]
        different += wanted != stored.get(container)
    size = "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND table = 'logs'"
    lines = sum(int(row["lines"]) for container, row in stored.items() if container in files)
    print(
        json.dumps(
            {"lines": lines, "different": different, "bytes": int(_rows(connection, size)[0]["bytes"])}
        )
    )
    connection.close()


def _rows(connection: Any, sql: str) -> list[dict[str, Any]]:
    answer = str(connection.query(sql, "JSONEachRow"))
    return [json.loads(line) for line in answer.splitlines()]


if __name__ == "__main__":
    main()
