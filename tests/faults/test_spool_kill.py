"""Kill -9 at every boundary of the spool and at random moments: each log line arrives exactly once."""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spool_world import Hub, Writer

import keelwatch.ship

SOURCE = Path(keelwatch.ship.__file__).parent
CHILD = Path(__file__).with_name("spool_child.py")


def points() -> list[str]:
    """Every fault point that the ship room passes in normal work, read from its source."""
    text = "".join(path.read_text() for path in SOURCE.glob("*.py"))
    found = set(re.findall(r'faults\.point\("([a-z.]+)"\)', text))
    writes = re.findall(r'_write\([\w.]+, data, "([a-z.]+)"\)', text)
    found |= {f"{place}.{step}" for place in writes for step in ("half", "written")}
    return sorted(found - {"spool.salvage.counted", "spool.corrupt.linked", "spool.reopen.truncated"})


class World:
    """Two containers, a hub, and a shipper that is started again and again."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        self.hub = Hub()
        self.writers = [Writer(self.logs / name) for name in ("one", "two")]
        self.command = [sys.executable, str(CHILD), str(self.logs), str(folder / "spool"), self.hub.url]
        for writer in self.writers:
            writer.start()

    def run(self, fault: str, seconds: float) -> int:
        """Run the shipper until it dies of `fault`, or kill it after `seconds`. Return its status."""
        environment = {**os.environ, "KEELWATCH_FAULT": fault}
        child = subprocess.Popen(self.command, env=environment, stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child.stdout:
            child.stdout.readline()
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return 0

    def finish(self) -> None:
        """Let the containers end and the shipper finish its work, then compare."""
        for writer in self.writers:
            writer.stop()
        (self.logs / "done").touch()
        subprocess.run(self.command, check=True, timeout=60)
        self.hub.shutdown()
        assert self.hub.gaps == []
        assert self.hub.jumps == []
        for name, writer in zip(("one", "two"), self.writers, strict=True):
            numbers = self.hub.numbers(name)
            assert sorted(numbers) == list(range(1, writer.lines + 1)), f"of {writer.lines} lines of {name}"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_points_are_found():
    assert len(points()) >= 12


@pytest.mark.parametrize("point", points())
def test_kill_at_each_point(world, point):
    died = sum(world.run(f"{point}:{count}", 3.0) == -9 for count in (1, 2, 5))
    world.finish()
    assert died, f"{point} was never passed"


def test_kill_while_the_torn_tail_is_cut_off(world):
    died = 0
    for count in (2, 5, 9):
        world.run(f"spool.append.half:{count}", 3.0)
        died += world.run("spool.reopen.truncated:1", 3.0) == -9
    world.finish()
    assert died


def kill_at_random(world: World, times: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(times):
        world.run("", rng.uniform(0.25, 0.9))
    world.finish()


def test_kill_at_random_moments(world):
    kill_at_random(world, 30, seed=time.time_ns())


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_kill_at_many_random_moments(world):
    kill_at_random(world, 200, seed=time.time_ns())
