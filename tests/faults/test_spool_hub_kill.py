"""Shipper and real hub killed with -9 at random moments: each log line is stored exactly once, in order."""

import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spool_world import Writer

from keelwatch.store.chdb import EmbeddedDatabase

CHILD = Path(__file__).with_name("spool_child.py")
NAMES = ("one", "two")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """Two containers, a shipper and a hub; both programs can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = f"127.0.0.1:{free_port()}"
        self._token = folder / "agent.token"
        self._token.write_text("a-token-of-sufficient-length-for-the-hub\n")
        self._token.chmod(0o600)
        self._programs: dict[str, subprocess.Popen] = {}
        self._commands = {
            "hub": [Path(sys.executable).with_name("keelwatch"), "hub", "--data", folder / "hub",
                    "--listen", self._address, "--agent-token-file", self._token],
            "shipper": [sys.executable, CHILD, folder / "logs", folder / "spool",
                        f"http://{self._address}", self._token],
        }  # fmt: skip
        self.writers = [Writer(folder / "logs" / name, pace=0.02) for name in NAMES]
        for writer in self.writers:
            writer.start()

    def start(self, name: str) -> None:
        with (self._folder / f"{name}.err").open("ab") as errors:
            said = subprocess.PIPE if name == "shipper" else None
            program = subprocess.Popen(self._commands[name], stderr=errors, stdout=said)
        self._programs[name] = program
        if program.stdout is not None:
            program.stdout.readline()

    def kill(self, name: str) -> None:
        self._programs[name].kill()
        self._programs[name].wait()

    def finish(self) -> dict[str, list[int]]:
        """Let everything arrive; return the stored line numbers by container, in the stored order."""
        for writer in self.writers:
            writer.stop()
        (self._folder / "logs" / "done").touch()
        assert self._programs["shipper"].wait(150) == 0
        self._programs["hub"].terminate()
        self._programs["hub"].wait(60)
        database = EmbeddedDatabase(self._folder / "hub" / "store")
        try:
            return {name: self._stored(database, name) for name in NAMES}
        finally:
            database.close()

    @staticmethod
    def _stored(database: EmbeddedDatabase, name: str) -> list[int]:
        sql = (
            "SELECT splitByChar(' ', message)[2] AS number FROM logs "
            "WHERE container = {name:String} ORDER BY spool, seq, row"
        )
        return [int(row["number"]) for row in database.query(sql, {"name": name})]

    def stop(self) -> None:
        for name in self._programs:
            self.kill(name)


@pytest.fixture
def stack(tmp_path):
    running = Stack(tmp_path)
    yield running
    running.stop()


def kill_at_random(stack: Stack, times: int, seed: int) -> None:
    rng = random.Random(seed)
    for name in ("hub", "shipper"):
        stack.start(name)
    time.sleep(3)
    for _ in range(times):
        name = rng.choice(["hub", "shipper", "shipper"])
        stack.kill(name)
        time.sleep(rng.uniform(0, 0.5))
        stack.start(name)
        time.sleep(rng.uniform(2.0, 5.0) if name == "hub" else rng.uniform(0.3, 1.5))
    stored = stack.finish()
    for name, writer in zip(NAMES, stack.writers, strict=True):
        assert sorted(stored[name]) == list(range(1, writer.lines + 1)), f"of {writer.lines} lines of {name}"


def test_both_killed_at_random_moments(stack):
    kill_at_random(stack, 12, seed=time.time_ns())


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_both_killed_at_many_random_moments(stack):
    kill_at_random(stack, 200, seed=time.time_ns())
