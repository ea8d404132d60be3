"""A node whose clock is wrong is shown as that by a real hub, and its records keep their own times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.hub_support import HubProcess, alert_row, rows_frame

AHEAD = 5.0


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    running = HubProcess(tmp_path_factory.mktemp("skew") / "hub").start()
    yield running
    running.stop()


def send(hub: HubProcess, seq: int, ahead: float, rows: list[dict[str, Any]]) -> None:
    sent = time.time_ns() + int(ahead * 1e9)
    headers = {"Authorization": f"Bearer {hub.token('agent')}", "X-Keelwatch-Time": str(sent)}
    body = rows_frame("alerts", seq, rows, spool="skewed")
    answer = hub.pool.request("POST", f"{hub.url}/v1/batches", headers=headers, body=body, retries=False)
    assert answer.status == 200, answer.data


def recorded(hub: HubProcess) -> list[dict[str, Any]]:
    return [one for one in hub.records("lifecycle", tail="100") if one["kind"] == "clock_skew"]


def test_a_wrong_clock_is_shown_recorded_and_changes_no_order(hub: HubProcess) -> None:
    for seq in (1, 2, 3):
        send(hub, seq, AHEAD, [alert_row(seq)])
    (agent,) = hub.json("/api/v1/status")["agents"]
    assert abs(agent["clock_skew"] - AHEAD) < 1
    deadline = time.monotonic() + 20
    while not recorded(hub) and time.monotonic() < deadline:
        time.sleep(0.2)
    (record,) = recorded(hub)
    detail = record["detail"] if isinstance(record["detail"], dict) else orjson.loads(record["detail"])
    assert (record["node"], detail["state"]) == ("node-1", "apart")
    assert abs(detail["skew_seconds"] - AHEAD) < 1
    found = [one["id"] for one in hub.records("alerts", tail="100")]
    assert [one for one in found if one in {"alert-1", "alert-2", "alert-3"}] == [
        "alert-1",
        "alert-2",
        "alert-3",
    ]
    assert 'keelwatch_hub_agent_clock_skew_seconds{node="node-1"}' in hub.get("/metrics").data.decode()


def test_the_hubs_own_records_about_nodes_make_no_agents(hub: HubProcess) -> None:
    hub.stop()
    hub.start()
    assert [agent["spool"] for agent in hub.json("/api/v1/status")["agents"]] in ([], ["skewed"])


def test_nobody_writes_in_the_hubs_own_spool(hub: HubProcess) -> None:
    own = (hub.data / "hub.id").read_text().strip()
    assert hub.post(rows_frame("alerts", 1, [alert_row(9)], spool=own)).status == 403
