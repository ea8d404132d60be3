"""`keelwatch coverage` as a gate for CI, against a real hub: a silent canary fails it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.hub_support import IDENTITY, HubProcess, rows_frame
from tests.stack_support import keelwatch

S = 1_000_000_000
CANARY = replace(IDENTITY, namespace="keelwatch", pod="canary-1", container="keelwatch-canary")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    running = HubProcess(tmp_path_factory.mktemp("coverage") / "hub").start()
    yield running
    running.stop()


def coverage(hub: HubProcess, *options: str) -> subprocess.CompletedProcess[str]:
    token = ("--hub", hub.url, "--token-file", str(hub.data / "admin.token"))
    return keelwatch("coverage", *token, *options)


def test_a_canary_that_runs_and_is_silent_fails_the_command(hub: HubProcess) -> None:
    nobody = coverage(hub, "--canary", "--fail-under", "100")
    assert nobody.returncode == 1
    assert "No canary ran in this time" in nobody.stderr
    begun = time.time_ns() - 3600 * S
    row = {**CANARY.columns(), "time": begun, "kind": "container_started", "labels": {}, "detail": "{}"}
    today = datetime.now(UTC).date().isoformat()
    assert hub.post(rows_frame("lifecycle", 1, [row], day=today)).status == 200
    silent = coverage(hub, "--canary", "--since", "10m", "--fail-under", "100")
    assert silent.returncode == 1
    assert "beats of 1 canaries did not arrive" in silent.stderr
    assert "not heard" in silent.stdout
    short = coverage(hub, "--canary", "--since", "1m", "--fail-under", "100")
    assert short.returncode == 1
    assert "nothing is proven" in short.stderr
