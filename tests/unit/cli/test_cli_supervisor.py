"""Children are restarted when they crash and ended in reverse order; real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keelwatch.cli.supervisor import FIRST_DELAY, LONGEST_DELAY, Child, Supervisor, next_delay


def test_delays_grow_and_start_again_after_a_long_run() -> None:
    delays = [0.0]
    for _ in range(8):
        delays.append(next_delay(delays[-1], ran=0.1))
    assert delays[1:] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert next_delay(LONGEST_DELAY, ran=100.0) == FIRST_DELAY


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_a_crashed_child_starts_again(tmp_path: Path) -> None:
    said: list[str] = []
    log = tmp_path / "log"
    log.touch()
    supervisor = Supervisor(said.append)
    supervisor.add(Child("one", shell(f"echo started >> {log}; exit 7")))
    runner = threading.Thread(target=supervisor.run, daemon=True)
    runner.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and log.read_text().count("started") < 2:
        time.sleep(0.1)
    supervisor.stopping.set()
    runner.join(10)
    supervisor.stop()
    assert log.read_text().count("started") >= 2
    assert said[0] == "one ended with status 7; it starts again in 1 s"


def test_children_end_in_reverse_order(tmp_path: Path) -> None:
    supervisor = Supervisor()
    for name in ("hub", "agent"):
        script = f"trap 'echo {name} >> {tmp_path}/log; exit' TERM; touch {tmp_path}/{name}; "
        script += "while :; do sleep 0.05; done"
        child = supervisor.add(Child(name, shell(script)))
        assert supervisor.wait_until((tmp_path / name).exists, child, 10)
    supervisor.stop()
    assert (tmp_path / "log").read_text().split() == ["agent", "hub"]


def test_a_child_that_will_not_end_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    child = Child("stubborn", [sys.executable, "-c", code], patience=0.5)
    child.start()
    time.sleep(0.5)
    child.stop()
    assert child.process is not None
    assert child.process.returncode in (-signal.SIGKILL, -signal.SIGTERM)


def test_waiting_ends_when_the_child_does() -> None:
    supervisor = Supervisor()
    child = supervisor.add(Child("short", shell("exit 3")))
    before = time.monotonic()
    assert not supervisor.wait_until(lambda: False, child, 30)
    assert time.monotonic() - before < 10


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "from keelwatch.cli.supervisor import Child, Supervisor\n"
        "s = Supervisor(); c = s.add(Child('x', ['/bin/sleep', '60']))\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(c.process.pid))\n"
        "s.run()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 15
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int((tmp_path / "pid").read_text())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
