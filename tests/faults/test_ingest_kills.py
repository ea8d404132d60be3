"""Exactly once: the hub is killed at every boundary of the ingest path and at random moments."""

from __future__ import annotations

import math
import random
import re
import threading
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest
import urllib3

from tests.hub_support import HubProcess, alert_row, line, log_frame, rows_frame

POINTS = [
    "ingest.received",
    "ingest.before_insert",
    "ingest.after_insert",
    "ingest.before_answer",
    "ingest.own_stored",
    "ingest.set_aside",
]
LINES = 10
POISON = 4


class Generator:
    """An agent that sends until everything is acknowledged, and sends again what was not."""

    def __init__(self, batches: float, spool: str = "spool-1") -> None:
        self.spool = spool
        self.batches = batches  # it has got to its end when so many are acknowledged
        self.sent = 0  # the highest acknowledged log batch

    def frames(self, seq: int) -> bytes:
        """One request: a batch of logs and one of alerts; the alert batch POISON cannot be parsed."""
        lines = b"".join(line(seq * LINES + n) for n in range(LINES))
        alert = alert_row(seq, uid="nobody" if seq == POISON else 0)
        return log_frame(seq, lines, spool=self.spool) + rows_frame("alerts", seq, [alert], spool=self.spool)

    def run(self, hub: HubProcess) -> None:
        """Send until done or the hub is gone."""
        self.sent = min(hub.stored(self.spool).get("logs", 0), hub.stored(self.spool).get("alerts", 0))
        while self.sent < self.batches:
            last = int(min(self.sent + 3, self.batches))
            body = b"".join(self.frames(seq) for seq in range(self.sent + 1, last + 1))
            response = hub.post(body)
            if response.status == 200:
                acknowledged = orjson.loads(response.data)["acknowledged"]
                assert acknowledged.keys() == {"logs", "alerts"}
                self.sent = min(acknowledged.values())


def drive(hub: HubProcess, generator: Generator) -> bool:
    """Whether the generator got to its end before the hub died."""
    try:
        generator.run(hub)
    except urllib3.exceptions.HTTPError:
        return False
    return True


def check(hub: HubProcess, batches: int) -> None:
    found = hub.records("logs", tail="100000")
    numbers = Counter(int(re.findall(r"line (\d+)", record["message"])[0]) for record in found)
    wanted = range(LINES, (batches + 1) * LINES)
    assert not [number for number in wanted if number not in numbers], "lines are lost"
    assert not [number for number, count in numbers.items() if count > 1], "lines are doubled"
    alerts = Counter(record["id"] for record in hub.records("alerts", tail="100000"))
    assert alerts == {f"alert-{seq}": 1 for seq in range(1, batches + 1) if seq != POISON}
    rejected = [gap for gap in hub.records("gaps") if gap["cause"] == "rejected"]
    assert [(gap["what"], gap["amount"]) for gap in rejected] == [("alerts", 1)]
    assert not [gap for gap in hub.records("gaps") if gap["cause"] in ("sequence", "row_count")]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("count", [1, 3])
def test_kill_at_every_point(tmp_path: Path, point: str, count: int) -> None:
    if point in ("ingest.own_stored", "ingest.set_aside") and count > 1:
        pytest.skip("this happens once")
    hub = HubProcess(tmp_path / "hub").start(KEELWATCH_FAULT=f"{point}:{count}")
    generator = Generator(10)
    died = not drive(hub, generator)
    assert died, f"the hub never passed {point}"
    assert not hub.alive() or hub.process.wait(5) == -9
    hub.start()
    try:
        assert drive(hub, generator)
        check(hub, 10)
    finally:
        hub.stop()


def random_kills(tmp_path: Path, kills: int, seed: int) -> None:
    """The generator sends without end while the hub is killed so often, and a few batches more."""
    chance = random.Random(seed)
    generator = Generator(math.inf)
    hub = HubProcess(tmp_path / "hub")
    for _ in range(kills):
        hub.start()
        timer = threading.Timer(chance.uniform(0.0, 0.9), hub.kill)
        timer.start()
        assert not drive(hub, generator)
        timer.join()
    generator.batches = generator.sent + 6
    hub.start()
    try:
        assert drive(hub, generator)
        assert generator.batches > kills, "the hub was killed before it took anything"
        check(hub, generator.batches)
    finally:
        hub.stop()


def test_kill_at_random_moments(tmp_path: Path) -> None:
    random_kills(tmp_path, kills=8, seed=time.time_ns() % 10_000)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_kill_at_200_random_moments(tmp_path: Path) -> None:
    random_kills(tmp_path, kills=200, seed=7)
