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


def page(hub: HubProcess, path: str) -> str:
    """A page of the console, as somebody sees it who has logged in."""
    form = {"token": hub.token("admin")}
    headers = {"Origin": hub.url}
    answer = hub.pool.request_encode_body(
        "POST", f"{hub.url}/login", fields=form, headers=headers, encode_multipart=False, redirect=False
    )
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    shown = hub.pool.request("GET", f"{hub.url}{path}", headers={"Cookie": cookie}, redirect=False)
    assert shown.status == 200, shown.data
    return shown.data.decode()


def test_a_time_without_the_hub_is_shown_with_its_begin_and_end(hub: HubProcess) -> None:
    assert "the hub was not running" not in coverage(hub).stdout
    hub.kill()
    time.sleep(3)
    hub.start()
    [away] = hub.json("/api/v1/coverage")["hub_down"]
    said = coverage(hub).stdout
    row = next(line for line in said.splitlines() if "the hub was not running" in line)
    assert away["from"][11:19] in row
    assert away["to"][11:19] in row
    shown = page(hub, "/coverage")
    assert "hub_down" in shown
    assert away["from"][11:19] in shown
    assert "not heard" in shown  # the canary of the test before
