"""Fault points and waiting times."""

import os
import subprocess
import sys

import pytest

from keelwatch.kit.backoff import Backoff


@pytest.mark.parametrize(("fault", "passed"), [("", 5), ("a:3", 2), ("b:1", 5), ("a", 0)])
def test_point_kills_at_the_count_asked_for(fault, passed):
    program = "from keelwatch.kit.faults import point\nfor n in '01234': point('a'); print(n, flush=True)"
    env = {**os.environ, "KEELWATCH_FAULT": fault}
    run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert run.stdout.splitlines() == [str(n) for n in range(passed)]
    assert run.returncode == (0 if passed == 5 else -9)


def test_backoff_grows_to_its_ceiling_and_starts_again():
    backoff = Backoff(first=1.0, ceiling=30.0)
    delays = [backoff.next() for _ in range(50)]
    assert 0.5 <= delays[0] <= 1.0
    assert all(15.0 <= delay <= 30.0 for delay in delays[10:])
    backoff.reset()
    assert backoff.next() <= 1.0
