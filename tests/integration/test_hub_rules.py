"""A real hub with an operator's rules for audit events: taken up, changed, mistaken, mended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.hub_support import DAY, IDENTITY, HubProcess, rows_frame

RULE = """
- rule: {name}
  desc: a test
  condition: ka.verb = get and ka.target.subresource = exec
  output: by %ka.user.name
  priority: WARNING
  source: k8s_audit
"""
WRONG = RULE.format(name="Mine").replace("ka.verb", "ka.verv")
HOUR = 3_600_000_000_000


def execs(hub: HubProcess, number: int) -> None:
    item = {
        "level": "Request",
        "auditID": f"id-{number}",
        "stage": "ResponseStarted",
        "requestURI": "/api/v1/namespaces/shop/pods/checkout-1/exec?command=id",
        "verb": "get",
        "user": {"username": f"alice-{number}"},
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "checkout-1", "subresource": "exec"},
        "responseStatus": {"code": 101},
        "stageTimestamp": f"2026-01-15T12:00:{number:02}.000000Z",
    }
    body = orjson.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [item]})
    headers = {"Authorization": f"Bearer {hub.token('audit')}"}
    answer = hub.pool.request("POST", f"{hub.url}/v1/audit", body=body, headers=headers, retries=False)
    assert answer.status == 200, answer.data


def fired(hub: HubProcess) -> set[tuple[str, str]]:
    return {(one["rule"], one["detail"]["user"]) for one in hub.records("alerts")}


def problems(hub: HubProcess) -> list[str]:
    found: list[str] = hub.json("/api/v1/status")["problems"]
    return found


def until(ask: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def metric(hub: HubProcess, name: str) -> float:
    text = hub.get("/metrics").data.decode()
    [value] = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(value)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    return folder / "own.yaml"


@pytest.fixture
def hub(tmp_path: Path, own: Path) -> Iterator[HubProcess]:
    made = HubProcess(tmp_path / "hub", {"KEELWATCH_TEST_RULES": str(own.parent)})
    yield made
    made.stop()


def test_rules_are_taken_up_while_the_hub_runs(hub: HubProcess, own: Path) -> None:
    own.write_text(RULE.format(name="Mine"))
    hub.start()
    execs(hub, 1)
    assert ("Mine", "alice-1") in fired(hub)
    own.write_text(RULE.format(name="Mine, changed"))
    [loaded] = until(lambda: hub.records("lifecycle", kind="rules_loaded"))
    assert (loaded["detail"]["source"], loaded["node"]) == ("hub", "")
    execs(hub, 2)
    assert ("Mine, changed", "alice-2") in fired(hub)
    assert metric(hub, "keelwatch_hub_rules_reloads_total") == 1


def test_a_mistake_changes_nothing_and_is_told(hub: HubProcess, own: Path) -> None:
    own.write_text(RULE.format(name="Mine"))
    hub.start()
    assert problems(hub) == []
    own.write_text(WRONG)
    [problem] = until(lambda: problems(hub))
    assert f"{own}:4:" in problem
    [refused] = until(lambda: hub.records("lifecycle", kind="rules_refused"))
    assert "ka.verv" in refused["detail"]["errors"]
    assert metric(hub, "keelwatch_hub_rules_problem") == 1
    assert "ka.verv" not in hub.get("/readyz?verbose").data.decode(), "which needs no token"
    execs(hub, 1)
    assert ("Mine", "alice-1") in fired(hub)
    own.write_text(RULE.format(name="Mended"))
    until(lambda: not problems(hub))
    assert metric(hub, "keelwatch_hub_rules_problem") == 0


def test_a_mistake_does_not_keep_the_hub_from_starting(hub: HubProcess, own: Path) -> None:
    own.write_text(WRONG)
    hub.start()
    execs(hub, 1)
    assert fired(hub) == {("Command run in a pod", "alice-1")}, "the shipped rules are in force"
    assert any("ka.verv" in one for one in problems(hub))
    assert until(lambda: hub.records("lifecycle", kind="rules_refused"))
    assert metric(hub, "keelwatch_hub_rules_refused_total") == 1


def test_agents_that_refuse_their_rules(hub: HubProcess, own: Path) -> None:
    def tell(seq: int, kind: str, errors: object = None) -> None:
        row = {
            **IDENTITY.columns(), "time": 1_768_478_400_000_000_000 + seq, "kind": kind, "labels": {},
            "detail": orjson.dumps({"rules": 3} | ({"errors": errors} if errors else {})).decode(),
        }  # fmt: skip
        assert hub.post(rows_frame("lifecycle", seq, [row], day=DAY)).status == 200

    own.write_text("[]")
    hub.start()
    tell(1, "agent_started")
    tell(2, "rules_refused", "/etc/keelwatch/rules/a.yaml:3:5: no such field\n/etc/x.yaml:1:1: no")
    expected = (
        "rules are not in force on node node-1: /etc/keelwatch/rules/a.yaml:3:5: no such field (and 1 more)"
    )
    assert until(lambda: problems(hub)) == [expected]
    tell(3, "rules_loaded")
    until(lambda: not problems(hub))
    tell(4, "rules_refused", ["\x1b[2J"])
    assert until(lambda: problems(hub))[0].startswith("rules are not in force on node node-1: ")
    tell(5, "agent_started")  # with rules that are right
    until(lambda: not problems(hub))
