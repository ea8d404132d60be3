"""A real hub takes audit events by webhook and file: once, durable, redacted, judged by rules."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.hub_support import HubProcess

SECRET = "canary-of-a-secret"
LIST = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}}


def event(number: int, **changes: Any) -> dict[str, Any]:
    """An exec into a pod, as current clients do it."""
    return {
        "level": "RequestResponse",
        "auditID": f"id-{number:06}",
        "stage": "ResponseStarted",
        "requestURI": "/api/v1/namespaces/shop/pods/checkout-1/exec?command=sh&command=-c&command=id",
        "verb": "get",
        "user": {
            "username": f"alice-{number % 7}",
            "groups": ["developers"],
            "extra": {"credential-id": ["x"]},
        },
        "sourceIPs": ["192.0.2.7"],
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "checkout-1", "subresource": "exec"},
        "responseStatus": {"code": 101},
        "stageTimestamp": f"2026-01-15T12:00:{number // 1000 % 60:02}.{number % 1000:03}000Z",
    } | changes


def secret(number: int) -> dict[str, Any]:
    return event(
        number, verb="create", stage="ResponseComplete", requestURI="/api/v1/namespaces/shop/secrets",
        objectRef={"resource": "secrets", "namespace": "shop", "name": "db"}, responseStatus={"code": 201},
        requestObject={"data": {"password": SECRET}, "type": "kubernetes.io/service-account-token"},
    )  # fmt: skip


def body(*items: Any) -> bytes:
    return orjson.dumps(LIST | {"items": items})


def send(hub: HubProcess, data: bytes, token: str | None = None) -> tuple[int, dict[str, Any]]:
    answer = hub.pool.request(
        "POST", f"{hub.url}/v1/audit", body=data, retries=False, timeout=60,
        headers={"Authorization": f"Bearer {token or hub.token('audit')}"},
    )  # fmt: skip
    return answer.status, orjson.loads(answer.data)


def lines(items: list[dict[str, Any]]) -> bytes:
    head = {"kind": "Event", "apiVersion": "audit.k8s.io/v1"}
    return b"".join(orjson.dumps(head | item) + b"\n" for item in items)


def ids(hub: HubProcess) -> Counter[str]:
    return Counter(one["audit_id"] for one in hub.records("audit", tail="100000"))


def wait_for(hub: HubProcess, count: int, seconds: float = 30.0) -> Counter[str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ids(hub)
        if len(found) >= count:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{len(ids(hub))} of {count}: {hub.log()}")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    made = HubProcess(tmp_path / "hub").start()
    yield made
    made.stop()


def test_the_webhook(hub: HubProcess) -> None:
    status, answer = send(hub, body(event(1), event(2), event(1)))
    assert (status, answer["stored"], answer["repeated"]) == (200, 2, 1)
    assert send(hub, body(event(2), event(3)))[1] | {"mistakes": []} == {
        "stored": 1, "repeated": 1, "invalid": 0, "mistakes": [],
    }  # fmt: skip
    hub.stop()
    hub.start()
    assert send(hub, body(*map(event, range(1, 5))))[1]["stored"] == 1, "known over a restart"
    assert ids(hub) == dict.fromkeys([f"id-{n:06}" for n in range(1, 5)], 1)
    record = hub.records("audit")[0]
    assert (record["user"], record["command"], record["code"]) == ("alice-1", "sh -c id", 101)
    assert record["user_extra"] == {"credential-id": ["x"]}
    assert (record["namespace"], record["pod"], record["cluster"]) == ("shop", "checkout-1", "local")
    assert len(hub.records("audit", user="alice-2", verb="get", resource="pods", subresource="exec")) == 1


def test_alerts_name_user_and_request(hub: HubProcess) -> None:
    send(hub, body(event(1)))
    (alert,) = hub.records("alerts")
    assert (alert["rule"], alert["source"], alert["kind"]) == ("Command run in a pod", "k8s_audit", "audit")
    assert (alert["namespace"], alert["pod"], alert["process"]) == ("shop", "checkout-1", {})
    detail = alert["detail"]
    assert (detail["user"], detail["groups"], detail["source_ips"]) == (
        "alice-1",
        ["developers"],
        ["192.0.2.7"],
    )
    assert (detail["verb"], detail["code"], detail["audit_id"]) == ("get", 101, "id-000001")
    assert "command=sh -c id" in alert["output"]
    assert hub.get(f"/alerts/{alert['id']}").status in (200, 303)
    kinds = Counter(one["record"] for one in hub.records("timeline", namespace="shop", pod="checkout-1"))
    assert kinds == {"audit": 1, "alert": 1}


def test_repeats_are_counted_and_told_at_the_end(hub: HubProcess) -> None:
    for number in range(0, 70, 7):
        send(hub, body(event(number)))
    assert [one["count"] for one in hub.records("alerts")] == [1]
    hub.stop()
    hub.start()
    assert sum(one["count"] for one in hub.records("alerts")) == 10


def test_secrets_are_judged_and_not_stored(hub: HubProcess) -> None:
    assert send(hub, body(secret(1)))[0] == 200
    (record,) = hub.records("audit")
    assert record["request_object"]["data"] == {"password": "(redacted)"}
    assert [one["rule"] for one in hub.records("alerts")] == ["Service account token minted"]
    hub.stop()
    found = [path for path in hub.data.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert found == []


def test_what_is_malformed_is_told_and_counted(hub: HubProcess) -> None:
    status, answer = send(hub, body(event(1), event(2, stage="Nonsense"), 7))
    assert (status, answer["stored"], answer["invalid"]) == (200, 1, 2), "the good one is kept"
    assert answer["mistakes"][0].startswith("items[1].stage: ")
    for bad in (b"{", b"", body(event(3, stageTimestamp="soon")), b"[" * 5000):
        status, answer = send(hub, bad)
        assert status == 400
        assert answer["error"]
    send(hub, b"{")
    gaps = [one for one in hub.records("gaps") if one["cause"] == "audit_invalid"]
    assert sorted(one["amount"] for one in gaps) == [1, 1, 1, 1, 2], "what is sent again is not counted again"
    metrics = hub.get("/metrics").data.decode()
    assert 'keelwatch_hub_audit_events_total{outcome="invalid",source="webhook"} 7.0' in metrics


def test_who_may_send(hub: HubProcess) -> None:
    assert send(hub, body(event(1)), "kw-forged-token-that-nobody-made")[0] == 401
    assert send(hub, body(event(1)), hub.token("agent"))[0] == 403
    assert send(hub, body(event(1)), hub.token("viewer"))[0] == 403
    assert ids(hub) == {}
    metrics = hub.get("/metrics").data.decode()
    assert 'keelwatch_hub_audit_refused_total{reason="unauthorised"} 1.0' in metrics
    assert 'keelwatch_hub_audit_refused_total{reason="forbidden"} 2.0' in metrics
    answer = hub.pool.request(
        "GET",
        f"{hub.url}/api/v1/audit",
        headers={"Authorization": f"Bearer {hub.token('audit')}"},
        retries=False,
    )
    assert answer.status in (401, 403), "who sends may not read"


def test_too_much_is_refused(hub: HubProcess) -> None:
    answer = hub.pool.request(
        "POST", f"{hub.url}/v1/audit", body=b" " * ((64 << 20) + 1), retries=False, timeout=60,
        headers={"Authorization": f"Bearer {hub.token('audit')}"},
    )  # fmt: skip
    assert answer.status == 413


@pytest.mark.parametrize("point", ["audit.alerts_stored", "audit.stored", "ingest.own_stored"])
@pytest.mark.parametrize("count", [1, 2])
def test_killed_at_every_point_nothing_is_lost_or_doubled(tmp_path: Path, point: str, count: int) -> None:
    hub = HubProcess(tmp_path / "hub").start(KEELWATCH_FAULT=f"{point}:{count}")
    exec_ = {"resource": "pods", "subresource": "exec"}
    bodies = [body(event(n), event(n + 1, objectRef={**exec_, "name": f"p{n}"})) for n in range(0, 20, 2)]
    died = 0
    for data in bodies:
        try:
            assert send(hub, data)[0] == 200
        except Exception:  # whatever a dying hub does to a connection
            died += 1
            hub.process.wait(10)  # type: ignore[union-attr]
            hub.start()
            assert send(hub, data)[0] == 200
    assert died == 1
    hub.stop()
    hub.start()
    try:
        assert ids(hub) == dict.fromkeys([f"id-{n:06}" for n in range(20)], 1)
        named = Counter(one["id"] for one in hub.records("alerts", tail="1000"))
        assert set(named.values()) == {1}
        pods = Counter(one["detail"]["target"]["name"] for one in hub.records("alerts"))
        assert all(pods[f"p{n}"] == 1 for n in range(0, 20, 2))
    finally:
        hub.stop()


def test_a_log_file_over_rotation_restart_and_kill(tmp_path: Path) -> None:
    log = tmp_path / "log" / "audit.log"
    log.parent.mkdir()
    log.write_bytes(lines([event(n) for n in range(100)]))
    hub = HubProcess(tmp_path / "hub", {"KEELWATCH_TEST_AUDIT_LOGS": str(log)}).start()
    wait_for(hub, 100)
    with log.open("ab") as file:
        file.write(lines([event(100)])[:-40])
        file.flush()
        time.sleep(1.2)
        file.write(lines([event(100)])[-40:])
        file.write(lines([event(n) for n in range(101, 150)]))
    wait_for(hub, 150)
    log.rename(log.with_name("audit-2026-01-15T12-00-01.000.log"))
    log.write_bytes(lines([event(n) for n in range(150, 200)]))
    wait_for(hub, 200)
    hub.kill()
    with log.open("ab") as file:
        file.write(lines([event(n) for n in range(200, 250)]))
    log.rename(log.with_name("audit-2026-01-15T12-00-02.000.log"))  # twice while nobody reads
    middle = log.with_name("audit-2026-01-15T12-00-03.000.log")
    middle.write_bytes(lines([event(n) for n in range(250, 300)]))
    log.write_bytes(b"rubbish\n" + lines([event(n) for n in range(300, 350)]))
    hub.start()
    try:
        found = wait_for(hub, 350)
        assert set(found.values()) == {1}
        assert send(hub, body(*[event(n) for n in range(340, 360)]))[1]["stored"] == 10, "file and webhook"
        causes = Counter(one["cause"] for one in hub.records("gaps"))
        assert causes["audit_invalid"] == 1
        assert not causes["audit_file"]
        assert {one["source"] for one in hub.records("audit", tail="1000")} == {"file", "webhook"}
    finally:
        hub.stop()


def test_a_compressed_file_is_read_and_a_lost_one_is_a_gap(tmp_path: Path) -> None:
    log = tmp_path / "log" / "audit.log"
    log.parent.mkdir()
    log.write_bytes(lines([event(n) for n in range(10)]))
    hub = HubProcess(tmp_path / "hub", {"KEELWATCH_TEST_AUDIT_LOGS": str(log)}).start()
    wait_for(hub, 10)
    hub.stop()
    packed = log.with_name("audit-2026-01-15T12-00-01.000.log.gz")
    packed.write_bytes(gzip.compress(log.read_bytes() + lines([event(n) for n in range(10, 20)])))
    log.unlink()
    log.write_bytes(lines([event(n) for n in range(20, 30)]))
    hub.start()
    try:
        assert set(wait_for(hub, 30).values()) == {1}
    finally:
        hub.stop()
