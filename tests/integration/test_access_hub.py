"""Access sessions in a real hub: whichever comes first, however often, and over a kill -9."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.hub_support import HubProcess, alert_row, rows_frame

GOLDEN = Path(__file__).parents[1] / "golden" / "access" / "audit.jsonl"
POD = {"cluster": "local", "namespace": "access", "pod": "checkout-68c887775c-88w9p", "container": "app"}
COMMAND = "sh -c echo hello > /tmp/a; busybox id"
TREE = {"entry_pid": 17, "entry_start": 5}
NS = 1_000_000_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    made = HubProcess(tmp_path / "hub").start()
    yield made
    assert made.stop() == 0


def until(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def tell(hub: HubProcess, begin: int, end: int = 0, **changes: Any) -> None:
    """The API server's webhook: alice's exec, received at `begin`, and its end if there is one (ns)."""
    found = [orjson.loads(text) for text in GOLDEN.read_bytes().splitlines()[:2]]
    for event, at in zip(found, (begin, end), strict=True):
        event["requestReceivedTimestamp"], event["stageTimestamp"] = stamp(begin), stamp(at)
        event.update(changes)
    body = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": found if end else found[:1]}
    answer = hub.pool.request(
        "POST", f"{hub.url}/v1/audit", body=orjson.dumps(body), retries=False, timeout=60,
        headers={"Authorization": f"Bearer {hub.token('audit')}", "Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status == 200, answer.data


def stamp(at: int) -> str:
    return f"{datetime.fromtimestamp(at // NS, tz=UTC):%Y-%m-%dT%H:%M:%S}.{at % NS // 1000:06d}Z"


def ran(hub: HubProcess, at: int, seq: int = 1) -> None:
    """The agent: the exec's process, and a file that it wrote."""
    row = alert_row(time=at, pid=17, cmdline=COMMAND, comm="sh", **POD, **TREE)
    wrote = row | {"time": at + 1000, "kind": "open", "type": "openat", "path": "/tmp/a"}
    assert hub.post(rows_frame("events", seq, [row, wrote], day=stamp(at)[:10])).status == 200


def certain(hub: HubProcess) -> list[dict[str, Any]]:
    return [one for one in hub.records("access") if one["confidence"] == "certain" and one["files"]]


def test_the_audit_may_come_first(hub: HubProcess) -> None:
    begin = time.time_ns() - 5 * NS
    tell(hub, begin, begin + NS)
    assert until(lambda: [one for one in hub.records("access") if one["confidence"] == "none"])
    ran(hub, begin + NS // 2)
    (found,) = until(lambda: certain(hub))
    assert (found["user"], found["entry_pid"], found["events"], found["files"]) == ("alice", 17, 2, 1)
    assert found["state"] == "ended"


def test_the_processes_may_come_first_and_an_alert_gets_its_user(hub: HubProcess) -> None:
    begin = time.time_ns() - 5 * NS
    ran(hub, begin + NS // 2)
    late = alert_row(time=begin + NS, **POD, **TREE)
    assert hub.post(rows_frame("alerts", 1, [late], day=stamp(begin)[:10])).status == 200
    assert hub.records("alerts")[0]["user"] == ""
    tell(hub, begin, begin + NS)
    (session,) = until(lambda: certain(hub))
    (alert,) = hub.records("alerts", kind="exec")
    assert alert["user"] == "alice"
    assert [one["id"] for one in alert["access"]] == [session["id"]]
    assert hub.json(f"/api/v1/alerts/{alert['id']}")["user"] == "alice"
    whole = hub.json(f"/api/v1/access/{session['id'][:8]}")
    assert [doing["path"] for doing in whole["tree"][0]["doings"]] == ["/tmp/a"]
    assert [one["id"] for one in whole["alert_records"]] == [alert["id"]]


def test_sessions_stand_on_the_timeline(hub: HubProcess) -> None:
    begin = time.time_ns() - 5 * NS
    ran(hub, begin + NS // 2)
    tell(hub, begin)
    assert until(lambda: certain(hub))
    asked = {"namespace": "access", "pod": POD["pod"]}
    (found,) = [one for one in hub.records("timeline", **asked) if one["record"] == "access"]
    assert (found["user"], found["state"], found["command"]) == ("alice", "open", COMMAND)
    for more, there in (({"kind": "exec"}, True), ({"kind": "open"}, False), ({"cause": "fault"}, False),
                        ({"grep": "busybox"}, True), ({"type": "execve"}, False)):  # fmt: skip
        kinds = [one["record"] for one in hub.records("timeline", **asked, **more)]
        assert ("access" in kinds) is there, more


def test_a_follower_is_told_when_a_session_begins_and_when_it_ends(hub: HubProcess) -> None:
    begin = time.time_ns() - 5 * NS
    answer = hub.pool.request(
        "GET", f"{hub.url}/api/v1/timeline", fields={"follow": "true", "tail": "0", "namespace": "access"},
        headers={"Authorization": f"Bearer {hub.token('admin')}"}, preload_content=False, timeout=60,
    )  # fmt: skip
    lines = (orjson.loads(line) for line in answer if line.strip())
    told = (one for one in lines if one["record"] == "access")
    tell(hub, begin)
    assert next(told)["state"] == "open"
    ran(hub, begin + NS // 2)  # now its process is known, which is no news of the kind
    assert until(lambda: certain(hub))
    tell(hub, begin, begin + 3 * NS)
    ended = next(told)
    assert (ended["state"], ended["confidence"]) == ("ended", "certain")
    answer.close()


def test_a_session_that_was_certain_is_not_any_more_when_another_request_comes_to_light(
    hub: HubProcess,
) -> None:
    begin = time.time_ns() - 5 * NS
    ran(hub, begin + NS // 2)
    tell(hub, begin, begin + NS)
    assert until(lambda: certain(hub))
    tell(hub, begin + NS // 10, begin + NS, auditID="another", user={"username": "bob"})
    found = until(lambda: [one for one in hub.records("access") if one["confidence"] == "ambiguous"])
    assert {one["user"] for one in hub.records("access")} == {"alice", "bob"}
    assert "alice and bob" in found[0]["reason"]


def test_a_kill_changes_nothing_and_an_open_session_is_ended_later(hub: HubProcess) -> None:
    begin = time.time_ns() - 5 * NS
    ran(hub, begin + NS // 2)
    tell(hub, begin)
    (found,) = until(lambda: certain(hub))
    assert (found["state"], found["ended"]) == ("open", None)
    hub.kill()
    hub.start()
    tell(hub, begin, begin + 3 * NS)
    (ended,) = until(lambda: [one for one in certain(hub) if one["state"] == "ended"])
    assert ended["id"] == found["id"]
    assert ended["trees"] == found["trees"]


@pytest.mark.parametrize("point", ["access.derived", "access.stored"])
def test_a_kill_at_any_boundary_neither_loses_nor_doubles(tmp_path: Path, point: str) -> None:
    hub = HubProcess(tmp_path / "hub").start()
    begin = time.time_ns() - 5 * NS
    ran(hub, begin + NS // 2)
    hub.stop()
    hub.start(KEELWATCH_FAULT=point)
    tell(hub, begin, begin + NS)
    assert until(lambda: not hub.alive())
    hub.start()
    tell(hub, begin, begin + NS)
    (found,) = until(lambda: certain(hub))
    assert found["user"] == "alice"
    assert hub.stop() == 0


def test_questions_that_cannot_be_understood_are_explained(hub: HubProcess) -> None:
    assert hub.get("/api/v1/access", kind="ssh").status == 400
    assert hub.get("/api/v1/access", confidence="sure").status == 400
    assert hub.get("/api/v1/access", usr="alice").status == 400
    assert hub.get("/api/v1/access/no-such-session").status == 404
    assert hub.get("/api/v1/access", regex="(").status == 400
    assert hub.get("/api/v1/access", workload="deploy/x", selector="a=b", team="t", tail="0").data == b""
