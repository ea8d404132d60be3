"""The generator's truth is true, and a store that differs from the files is told apart."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from bench.gen_logs import Order, generate, sources
from keelwatch.model.identity import Identity
from keelwatch.model.logchunk import encode_chunk
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.database import Insertion, Source
from keelwatch.store.engines import Engines
from keelwatch.store.migrate import migrate

# Fills a store and ends: the engine must not run twice in one process with different folders.
FILL = "from test_bench_logs import fill; import sys; fill(*sys.argv[1:])"


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.log")):
        found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


def test_a_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        generate(Order(tmp_path / name, bytes=200_000, seed=seed))
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")
    # Figures of other programs were taken on these very bytes.
    assert digest(tmp_path / "a").startswith("11d8e269c58a5416")


def test_the_truth_counts_what_was_written(tmp_path: Path) -> None:
    order = Order(tmp_path / "logs", bytes=300_000)
    truth = generate(order)
    files = {source.folder: (order.out / source.folder / order.file).read_bytes() for source in sources(20)}
    assert len(files) == 20
    assert truth.lines == sum(content.count(b"\n") for content in files.values()) == sum(truth.hours.values())
    assert truth.bytes == sum(map(len, files.values()))
    assert sum(content.count(order.needle.encode()) for content in files.values()) == 1
    for folder, content in files.items():
        assert truth.streams[folder]["lines"] == content.count(b"\n")
    assert json.loads(order.truth.read_text())["lines"] == truth.lines


def fill(folder: str, log: str, drop: str) -> None:
    """Store the lines of `log`; the last one is left out, or stored twice, or is there once."""
    lines = Path(log).read_bytes().splitlines(keepends=True)
    lines = {"lost": lines[:-1], "doubled": [*lines, lines[-1]], "same": lines}[drop]
    database = EmbeddedDatabase(Path(folder) / "store")
    migrate(database, Engines())
    path = Path(folder) / "spool~1~x.zst"
    identity = Identity(namespace="bench", pod="p", pod_uid="u", container="c")
    path.write_bytes(zstandard.compress(encode_chunk("cri", 0, 0, identity, b"".join(lines))))
    source = Source(path, "spool", 1, len(lines))
    database.insert(Insertion("logs", "chunks", "2026-11-22", [source], 0))
    database.close()


@pytest.mark.parametrize(("drop", "different", "more"), [("same", 0, 0), ("lost", 1, -1), ("doubled", 1, 1)])
def test_lost_and_doubled_lines_are_noticed(drop: str, different: int, more: int, tmp_path: Path) -> None:
    order = Order(tmp_path / "logs", bytes=20_000, streams=1)
    truth = generate(order)
    log = order.out / sources(1)[0].folder / order.file
    here = Path(__file__).parent
    command = [sys.executable, "-c", FILL, str(tmp_path), str(log), drop]
    subprocess.run(command, check=True, env={"PYTHONPATH": f"{here}:{Path.cwd()}"})
    said = subprocess.run(
        [sys.executable, "-m", "bench.compare_logs", str(tmp_path / "store")],
        input=json.dumps({"bench_p_u/c": str(log)}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = json.loads(said)
    assert found["different"] == different
    assert found["lines"] == truth.lines + more
    assert found["bytes"] > 0
