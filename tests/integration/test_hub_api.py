"""The JSON API against a real hub with a real store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest
import urllib3

from tests.hub_support import CONTAINER, IDENTITY, HubProcess, alert_row, line, log_frame, rows_frame

OTHER = replace(
    IDENTITY, pod="checkout-5d-x2", container_id="beef" + "0" * 60, namespace="shop", workload="checkout"
)
DATABASE = replace(
    IDENTITY,
    pod="db-0",
    container_id="db" + "0" * 62,
    workload_kind="StatefulSet",
    workload="db",
    namespace="data",
)
NOON = 1_768_478_400_000_000_000


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    running = HubProcess(tmp_path_factory.mktemp("api") / "hub").start()
    fill(running)
    yield running
    running.stop()


def fill(hub: HubProcess) -> None:
    logs = [
        b"".join(line(n, " checkout-a") for n in range(10)),
        b"2026-01-15T12:00:05.5Z stderr F declined 100% of card_1\n"
        b"2026-01-15T12:00:06Z stdout F \x1b]0;x\x07 \xff\n",
        line(3, " database"),
    ]
    body = b"".join(
        log_frame(seq + 1, text, identity=identity)
        for seq, (text, identity) in enumerate(zip(logs, (IDENTITY, OTHER, DATABASE), strict=True))
    )
    started = [
        {
            **identity.columns(),
            "time": NOON + n,
            "kind": "container_started",
            "labels": labels,
            "detail": "{}",
        }
        for n, (identity, labels) in enumerate(
            [
                (IDENTITY, {"app": "checkout"}),
                (OTHER, {"app": "checkout", "v": "2"}),
                (DATABASE, {"app": "db"}),
            ]
        )
    ]
    ended = {
        **IDENTITY.columns(),
        "time": NOON + 10**9 * 60,
        "kind": "container_ended",
        "labels": {},
        "detail": "{}",
    }
    nobody = dict.fromkeys(("namespace", "pod", "container", "container_id", "workload", "workload_kind"), "")
    owner = {"file_namespace": "shop", "file_workload": "checkout", "file_container_id": CONTAINER}
    host = alert_row(3, **nobody, **owner, priority="Notice")
    body += rows_frame("lifecycle", 1, [*started, ended])
    body += rows_frame("alerts", 1, [alert_row(1), alert_row(2, priority="Warning", rule="Other"), host])
    body += rows_frame("events", 1, [{**alert_row(4), "detail": '{"script":"/run.sh"}'}])
    response = hub.post(body)
    assert response.status == 200, response.data


def test_records_have_the_documented_names(hub: HubProcess) -> None:
    alert = hub.records("alerts")[0]
    wanted = (
        "time rule priority tags output cluster node namespace workload pod container container_id image "
        "process ancestors story count"
    )
    assert set(wanted.split()) <= alert.keys()
    assert alert["time"] == "2026-01-15T12:00:00.000000001Z"
    assert alert["process"] == {"pid": 17, "name": "x"}
    assert alert["ancestors"] == [{"pid": 1, "name": "sh"}]
    assert alert["story"] == {"sentence": "sh wrote it"}
    assert hub.records("events")[0]["detail"] == {"script": "/run.sh"}
    log = hub.records("logs", tail="1", stream="stderr")[0]
    assert log["message"] == "declined 100% of card_1"
    assert not {"spool", "seq", "row", "day"} & log.keys()


def count(hub: HubProcess, table: str = "logs", **parameters: str) -> int:
    return len(hub.records(table, **parameters))


def test_filters_of_logs(hub: HubProcess) -> None:
    assert count(hub) == 13
    assert count(hub, workload="deploy/checkout", namespace="shop") == 12
    assert count(hub, workload="sts/checkout") == 0
    assert count(hub, container_id=CONTAINER[:12]) == 10
    assert count(hub, pod="db-0", container="app", node="node-1", cluster="test") == 1
    assert count(hub, selector="app=checkout") == 12
    assert count(hub, selector="app in (checkout),!v") == 10
    assert count(hub, selector="app!=checkout") == 1
    assert count(hub, since="2026-01-15T12:00:03Z", until="2026-01-15T12:00:06Z") == 1
    assert count(hub, since="1s") == 0
    assert count(hub, grep="100% of card_1") == 1
    assert count(hub, grep="100_ of") == 0
    assert count(hub, grep="Checkout-a") == 0
    assert count(hub, regex="line [13]\\b") == 3
    assert count(hub, tail="2") == 2


def test_no_records_are_asked_for_by_a_tail_of_none(hub: HubProcess) -> None:
    assert count(hub, tail="0") == count(hub, "timeline", tail="0") == 0


def test_the_tail_is_the_last_and_comes_oldest_first(hub: HubProcess) -> None:
    times = [record["time"] for record in hub.records("logs", tail="5")]
    assert times == sorted(times)
    assert times[-1] == "2026-01-15T12:00:06.000000000Z"


def test_bytes_that_are_not_text_are_replaced_in_answers(hub: HubProcess) -> None:
    assert hub.records("logs", tail="1")[0]["message"] == "\x1b]0;x\x07 \ufffd"


def test_filters_of_alerts_and_events(hub: HubProcess) -> None:
    assert count(hub, "alerts", priority="warning") == 2
    assert count(hub, "alerts", priority="critical") == 1
    assert count(hub, "alerts", rule="Other") == 1
    assert count(hub, "alerts", id="alert-2") == 1
    assert count(hub, "events", kind="exec", type="execve") == 1
    assert count(hub, "events", kind="open") == 0
    assert count(hub, "lifecycle", kind="container_ended") == 1


def test_a_file_of_a_workload_touched_from_outside_belongs_to_it(hub: HubProcess) -> None:
    found = [record["id"] for record in hub.records("alerts", workload="checkout", namespace="shop")]
    assert "alert-3" in found


def test_one_alert(hub: HubProcess) -> None:
    assert hub.json("/api/v1/alerts/alert-1")["rule"] == "Drop and execute new binary in container"
    response = hub.get("/api/v1/alerts/nothing")
    assert response.status == 404
    assert orjson.loads(response.data)["error"]["code"] == "not_found"


def test_the_beginning_of_an_alerts_id_is_enough_where_it_names_one(hub: HubProcess) -> None:
    assert hub.json("/api/v1/alerts/alert-2")["id"] == "alert-2"
    assert hub.post(rows_frame("alerts", 2, [alert_row(21), alert_row(31)])).status == 200
    assert hub.json("/api/v1/alerts/alert-2")["id"] == "alert-2"  # the exact one
    assert hub.json("/api/v1/alerts/alert-21")["id"] == "alert-21"
    several = hub.get("/api/v1/alerts/alert-")
    assert (several.status, b"write more" in several.data) == (400, True)
    assert hub.get("/api/v1/alerts/lert-2").status == 404


def test_timeline(hub: HubProcess) -> None:
    found = hub.records("timeline", workload="checkout", namespace="shop")
    assert {record["record"] for record in found} == {"log", "event", "alert", "lifecycle"}
    assert [record["time"] for record in found] == sorted(record["time"] for record in found)


def test_a_gap_of_a_whole_node_is_its_workloads_too(hub: HubProcess) -> None:
    nobody = dict.fromkeys(("namespace", "pod", "container", "container_id", "workload", "workload_kind"), "")
    gap = {
        **IDENTITY.columns(), "time": NOON, "what": "all", "cause": "agent_down", "from_time": NOON,
        "to_time": NOON + 10**9, "amount": 1, "unit": "intervals", "detail": "",
    }  # fmt: skip
    rows = [
        {**gap, **nobody, "detail": "here"},
        {**gap, **nobody, "node": "", "detail": "nowhere"},
        {**gap, "detail": "own"},
        {**gap, **DATABASE.columns(), "detail": "the database's"},
    ]
    assert hub.post(rows_frame("gaps", 1, rows)).status == 200
    there = {**gap, **nobody, "node": "elsewhere", "detail": "there"}
    assert hub.post(rows_frame("gaps", 1, [there], spool="spool-2", node="elsewhere")).status == 200

    def seen(**asked: str) -> set[str]:
        return {str(one["detail"]) for one in hub.records("gaps", **asked)}

    shop = {"here", "nowhere", "own"}
    assert seen(namespace="shop", workload="deploy/checkout") == shop
    assert seen(selector="app=checkout") == shop
    assert seen(pod="db-0") == {"here", "nowhere", "the database's"}
    assert seen(workload="nosuch") == {"nowhere"}
    found = hub.records("timeline", workload="checkout", cause="agent_down")
    assert {one["detail"] for one in found} == shop


def test_workloads(hub: HubProcess) -> None:
    found = hub.json("/api/v1/workloads", since="2026-01-15T00:00:00Z")["workloads"]
    by_name = {(one["namespace"], one["workload"]): one for one in found}
    checkout = by_name["shop", "checkout"]
    assert [(one["pod"], one["state"], one["logs"]) for one in checkout["instances"]] == [
        ("checkout-5d-x1", "ended", 10),
        ("checkout-5d-x2", "running", 2),
    ]
    assert (checkout["logs"], checkout["workload_kind"]) == (12, "Deployment")
    assert len(hub.json("/api/v1/workloads", namespace="data")["workloads"]) == 1


def test_histogram(hub: HubProcess) -> None:
    found = hub.json("/api/v1/histogram", buckets="10")
    assert (sum(found["counts"]), sum(found["stderr"])) == (13, 1)
    assert found["from"] == "2026-01-15T12:00:00.000000000Z"
    empty = hub.json("/api/v1/histogram", since="1h")
    assert sum(empty["counts"]) == 0


def test_status_and_metrics(hub: HubProcess) -> None:
    found = hub.json("/api/v1/status")
    assert found["store"]["rows"]["logs"] >= 13
    (agent,) = [one for one in found["agents"] if one["spool"] == "spool-1"]
    assert (agent["node"], agent["stored"]["logs"]) == ("node-1", 3)
    text = hub.pool.request("GET", f"{hub.url}/metrics").data.decode()
    assert 'keelwatch_hub_rows_total{table="logs"}' in text
    assert "keelwatch_hub_store_bytes" in text


@pytest.mark.parametrize(
    ("path", "parameters", "parameter"),
    [
        ("logs", {"since": "yesterday"}, "since"),
        ("logs", {"regex": "("}, "regex"),
        ("logs", {"tail": "-1"}, "tail"),
        ("logs", {"tail": "many"}, "tail"),
        ("logs", {"tail": "0", "regex": "("}, "regex"),
        ("timeline", {"tail": "10001"}, "tail"),
        ("logs", {"tail": "100001"}, "tail"),
        ("logs", {"workload": "deplyo/x"}, "deplyo"),
        ("logs", {"selector": "a=b=c"}, "requirement"),
        ("logs", {"namespce": "x"}, "namespce"),
        ("logs", {"priority": "error"}, "priority"),
        ("alerts", {"priority": "severe"}, "severe"),
        ("logs", {"grep": "x" * 2000}, "grep"),
        ("histogram", {"buckets": "0"}, "buckets"),
    ],
)
def test_wrong_questions_say_what_is_wrong(
    hub: HubProcess, path: str, parameters: dict[str, str], parameter: str
) -> None:
    response = hub.get(f"/api/v1/{path}", **parameters)
    assert response.status == 400
    error = orjson.loads(response.data)["error"]
    assert parameter in error["message"]
    assert set(error) == {"code", "message", "hint"}


@pytest.mark.parametrize(
    "value", ["'", "\\", "') OR 1=1 --", "{p0:String}", "%", "\x00", "\t\n", "日本", "'; DROP TABLE logs"]
)
def test_values_are_values(hub: HubProcess, value: str) -> None:
    for name in ("namespace", "pod", "grep", "container_id"):
        assert count(hub, **{name: value}) == (1 if (name, value) == ("grep", "%") else 0)
    assert count(hub) == 13


def test_a_token_is_needed_and_the_right_one(hub: HubProcess) -> None:
    def status(token: str | None, path: str = "/api/v1/logs") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return hub.pool.request("GET", f"{hub.url}{path}", headers=headers, retries=False).status

    assert status(None) == 401
    assert status("kw-" + "x" * 43) == 401
    assert status(hub.token("agent")) == 403
    assert status(hub.token("viewer")) == 200
    assert status(None, "/healthz") == 200
    assert status(None, "/openapi.json") == 200


def test_who_looked_at_what_is_written_down(hub: HubProcess) -> None:
    hub.records("logs", pod="seen-by-auditor")
    entries = [orjson.loads(text) for text in (hub.data / "access.log").read_text().splitlines()]
    (entry,) = [one for one in entries if "seen-by-auditor" in one["query"]]
    assert (entry["who"], entry["role"], entry["path"], entry["status"]) == (
        "admin",
        "admin",
        "/api/v1/logs",
        200,
    )
    assert entry["address"] == "127.0.0.1"
    hub.pool.request("GET", f"{hub.url}/api/v1/alerts?pod=refused", retries=False)
    last = orjson.loads((hub.data / "access.log").read_text().splitlines()[-1])
    assert (last["who"], last["status"], last["query"]) == ("", 401, "pod=refused")


def test_openapi_names_every_parameter(hub: HubProcess) -> None:
    paths = orjson.loads(hub.pool.request("GET", f"{hub.url}/openapi.json").data)["paths"]
    names = {item["name"] for item in paths["/api/v1/alerts"]["get"]["parameters"]}
    assert {
        "namespace",
        "workload",
        "selector",
        "since",
        "tail",
        "follow",
        "grep",
        "rule",
        "priority",
    } <= names
    assert "/api/v1/timeline" in paths


def test_follow_sends_what_arrives_late_records_too(hub: HubProcess) -> None:
    """A record whose time is long past, from an agent that was cut off, is not missed."""
    found: list[dict[str, str]] = []
    pool = urllib3.PoolManager()
    response = pool.request(
        "GET",
        f"{hub.url}/api/v1/logs",
        fields={"follow": "true", "tail": "1", "pod": "followed"},
        headers={"Authorization": f"Bearer {hub.token('viewer')}"},
        preload_content=False,
        timeout=20,
    )

    def read() -> None:
        for text in response:
            if text.strip():
                found.append(orjson.loads(text))
            if len(found) == 2:
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    time.sleep(0.5)
    followed = replace(IDENTITY, pod="followed")
    for seq, number in ((1, 999), (2, 1)):
        assert hub.post(log_frame(seq, line(number), spool="late", identity=followed)).status == 200
    assert hub.post(log_frame(1, line(5), spool="other")).status == 200
    reader.join(15)
    response.close()
    assert [record["message"] for record in found] == ["line 999", "line 1"]


def test_a_follower_does_not_keep_the_hub_from_stopping(tmp_path_factory: pytest.TempPathFactory) -> None:
    hub = HubProcess(tmp_path_factory.mktemp("stop") / "hub").start()
    response = urllib3.PoolManager().request(
        "GET",
        f"{hub.url}/api/v1/logs?follow=true",
        headers={"Authorization": f"Bearer {hub.token('viewer')}"},
        preload_content=False,
    )
    begun = time.monotonic()
    assert hub.stop() == 0
    assert time.monotonic() - begun < 15
    response.close()
    time.sleep(2)
    hub.start()
    try:
        gaps = hub.records("gaps", cause="hub_down")
        assert len(gaps) == 1
        assert gaps[0]["unit"] == "seconds"
    finally:
        hub.stop()
