"""Many nodes, one hub: recorded traffic of a real agent, played as that of each of many agents at once.

Each played agent has a node, a spool and containers of its own and behaves as the real one does: what is
due goes out in one request, and the next one waits for the answer. Meanwhile marked alerts are sent now
and then, and looked for in the API. What was sent, by the players' own count, has to be in the store.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import orjson
import urllib3
import zstandard

from bench.machine import cpu_seconds, memory, reset_peak
from bench.node import Node
from bench.recording import NODE, Batch, Recording, record
from bench.report import Figure, quantile
from bench.settings import Settings
from keelwatch.model.batch import BatchHeader, encode_frame

MIB = 2**20
REQUEST = 4 << 20
"""Bytes of one request at most."""
PROBE_SECONDS = 0.5
POLL_SECONDS = 0.02
GIVE_UP_SECONDS = 60.0
TABLES = ("logs", "events", "alerts", "lifecycle", "gaps")


def run(settings: Settings) -> list[Figure]:
    """See the module."""
    recording = record(settings.recording_seconds)
    node = Node()
    node.keep()
    with node:
        before = _rows(node)
        reset_peak(node.hub_pid)
        cpu = cpu_seconds(node.hub_pid)
        own = time.process_time()
        crowd = Crowd(node, recording, settings.agents)
        took = crowd.play(settings.play_seconds)
        cpu = cpu_seconds(node.hub_pid) - cpu
        own = time.process_time() - own
        peak = memory(node.hub_pid, "VmHWM") / MIB
        after = _rows(node)
    parts = _parts(node)
    node.remove()
    sent = {table: crowd.rows(table) for table in TABLES}
    lost = sum(abs(after.get(t, 0) - before.get(t, 0) - sent[t]) for t in TABLES)
    note = f"{settings.agents} agents, {took:.0f} s"
    return [
        Figure("rows per second", sum(sent.values()) / took, "rows/s", note),
        *(Figure(f"{table} sent", sent[table], "rows", note) for table in TABLES),
        Figure("rows lost or doubled", lost, "rows", note, must_be=0),
        Figure("sent late by at most", max(player.late for player in crowd.players), "s", note),
        Figure("hub CPU", 100 * cpu / took, "% of a core", f"the players used {100 * own / took:.0f} %"),
        Figure("hub peak memory", peak, "MiB", note),
        Figure("parts written per hour, all tables", parts * 3600 / took, "parts", note),
        Figure(
            "from event to queryable, p50", quantile(crowd.delays, 0.5), "s", f"{len(crowd.delays)} alerts"
        ),
        Figure("from event to queryable, p99", quantile(crowd.delays, 0.99), "s", note),
    ]


@dataclass
class Player:
    """One played agent. `late` is the longest time that a batch was sent after it was due."""

    name: str
    recording: Recording
    index: int
    spool: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent: dict[str, int] = field(default_factory=dict)
    next_seq: dict[str, int] = field(default_factory=dict)
    late: float = 0.0

    def frames(self, begin: float, seconds: float) -> Iterator[tuple[float, BatchHeader, bytes]]:
        """(due, header, frame) in the order of time, the recording again and again."""
        round_ = 0
        while True:
            for due, batch in _schedule(self.recording):
                at = round_ * self.recording.seconds + due
                if at >= seconds:
                    return
                yield begin + at, *self._as_own(batch)
            round_ += 1

    def _as_own(self, batch: Batch) -> tuple[BatchHeader, bytes]:
        rows = batch.rows.replace(NODE.encode(), self.name.encode())
        for container in self.recording.containers:
            rows = rows.replace(container.encode(), f"{self.index:04x}{container[4:]}".encode())
        seq = self.next_seq.get(batch.header.table, 1)
        self.next_seq[batch.header.table] = seq + 1
        header = replace(batch.header, spool=self.spool, seq=seq, node=self.name)
        return header, encode_frame(header, zstandard.ZstdCompressor(level=1).compress(rows))


class Crowd:
    """All players, a thread each, and one that looks how long a record is on its way."""

    def __init__(self, node: Node, recording: Recording, agents: int) -> None:
        self._node = node
        self._token = (node.directory / "data" / "agent.token").read_text().strip()
        self._http = urllib3.PoolManager(maxsize=agents + 8, retries=False)
        self._over = threading.Event()
        self.players = [Player(f"bench-{n:04d}", recording, n) for n in range(1, agents + 1)]
        self.prober = Player("bench-9999", recording, 9999)
        self.delays: list[float] = []

    def play(self, seconds: float) -> float:
        """Let all play for so long; return the seconds until everything was acknowledged."""
        began = time.monotonic()
        prober = threading.Thread(target=self._probe)
        prober.start()
        spread = self.players[0].recording.seconds / len(self.players)
        with ThreadPoolExecutor(len(self.players)) as threads:
            jobs = [
                threads.submit(self._play, player, began + n * spread, seconds)
                for n, player in enumerate(self.players)
            ]
            for job in jobs:
                job.result()
        took = time.monotonic() - began
        self._over.set()
        prober.join()
        return took

    def rows(self, table: str) -> int:
        """How many rows of a table were sent and acknowledged."""
        return sum(player.sent.get(table, 0) for player in (*self.players, self.prober))

    def _play(self, player: Player, begin: float, seconds: float) -> None:
        waiting: list[tuple[float, BatchHeader, bytes]] = []
        for due, header, frame in player.frames(begin, seconds):
            if due > time.monotonic() or sum(len(f) for _, _, f in waiting) + len(frame) > REQUEST:
                self._send(player, waiting)
                waiting = []
            time.sleep(max(0.0, due - time.monotonic()))
            waiting.append((due, header, frame))
        self._send(player, waiting)

    def _send(self, player: Player, batches: list[tuple[float, BatchHeader, bytes]]) -> None:
        if not batches:
            return
        player.late = max(player.late, time.monotonic() - batches[0][0])
        while not self._post(b"".join(frame for _, _, frame in batches)):
            time.sleep(0.5)
        for _, header, _ in batches:
            player.sent[header.table] = player.sent.get(header.table, 0) + header.rows

    def _post(self, body: bytes) -> bool:
        """Whether the hub has it now; a busy one is asked again, any other answer is a fault."""
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self._node.address}/v1/batches"
        answer = self._http.request("POST", url, body=body, headers=headers, timeout=GIVE_UP_SECONDS)
        if answer.status not in (200, 503):
            raise RuntimeError(f"the hub answered {answer.status}: {answer.data[:300]!r}")
        return answer.status == 200

    def _probe(self) -> None:
        """Send alerts, one after the other, and note how long each takes to be found by its id."""
        pattern = next(b for b in self.prober.recording.batches if b.header.table == "alerts")
        row = orjson.loads(pattern.rows.splitlines()[0])
        while not self._over.wait(PROBE_SECONDS):
            now, name = time.time_ns(), uuid.uuid4().hex
            seq = self.prober.next_seq["alerts"] = self.prober.next_seq.get("alerts", 0) + 1
            day = datetime.fromtimestamp(now / 1e9, tz=UTC).date().isoformat()
            rows = orjson.dumps(row | {"id": name, "time": now, "node": self.prober.name})
            header = replace(
                pattern.header,
                spool=self.prober.spool,
                seq=seq,
                day=day,
                rows=1,
                raw=len(rows),
                node=self.prober.name,
            )
            frame = encode_frame(header, zstandard.ZstdCompressor().compress(rows))
            begun = time.monotonic()
            self._send(self.prober, [(begun, header, frame)])
            while self._node.get(f"/alerts/{name}").status != 200:
                time.sleep(POLL_SECONDS)
            self.delays.append(time.monotonic() - begun)


def _schedule(recording: Recording) -> list[tuple[float, Batch]]:
    """When each batch is due: those of a table at even distances."""
    found = []
    for table in TABLES:
        batches = [batch for batch in recording.batches if batch.header.table == table]
        found += [(n * recording.seconds / len(batches), batch) for n, batch in enumerate(batches)]
    return sorted(found, key=lambda item: item[0])


def _rows(node: Node) -> dict[str, int]:
    counted: dict[str, int] = json.loads(node.get("/status").data)["store"]["rows"]
    return counted


def _parts(node: Node) -> int:
    """How many parts were written, merged ones left out; asked of the store that the hub has left."""
    script = (
        'import chdb, sys; print(chdb.connect(sys.argv[1]).query("SELECT sum(blocks) FROM (SELECT '
        "max(max_block_number) AS blocks FROM system.parts WHERE database = 'keelwatch' AND active "
        "GROUP BY table, partition)\", 'TSV'))"
    )
    store = node.directory / "data" / "hub" / "store"
    said = subprocess.run(
        [sys.executable, "-c", script, store], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return int(said.strip())
