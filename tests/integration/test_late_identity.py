"""Records that could not wait for the API server are found, shown and compared by what it said later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from keelwatch.console import late_owners
from keelwatch.console.history import History
from keelwatch.ingest.intake import Intake
from keelwatch.inventory.objects import KubeObject
from keelwatch.inventory.rows import Resolved, to_row
from keelwatch.model.identity import Identity
from keelwatch.query.filter import Filter
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate

INFERRED = Identity(
    cluster="c", node="n", namespace="shop", pod="checkout-5d-x", pod_uid="u-late", container="app",
    container_id="late", workload_kind="Deployment", workload="checkout",
    identity_source="pod_uid=cri workload_kind=inferred workload=inferred inventory=late",
)  # fmt: skip
TOLD = Resolved("Rollout", "till", "pay", "pod label")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("late")
    database = EmbeddedDatabase(folder / "store")
    migrate(database, EMBEDDED)
    intake = Intake(database, folder)
    fill(intake)
    yield History(database, intake)
    database.close()


def fill(intake: Intake) -> None:
    now = time.time_ns()
    write = intake.recorder.write
    whole = replace(INFERRED, pod_uid="u-2", container_id="whole", pod="checkout-5d-y",
                    identity_source="pod_uid=cri workload_kind=kubernetes workload=kubernetes")  # fmt: skip
    write("objects", [to_row("added", now, "c", one(uid), resolved) for uid, resolved in (
        ("u-late", TOLD), ("u-2", Resolved("Deployment", "checkout", "cart")),
    )])  # fmt: skip
    for identity in (INFERRED, whole):
        about = identity.columns()
        write(
            "lifecycle", [{**about, "time": now, "kind": "container_started", "labels": {}, "detail": "{}"}]
        )
        write(
            "logs", [{**about, "time": now, "stream": "stdout", "message": f"{identity.pod}: order 17 done"}]
        )
    write("logs", [{**whole.columns(), "time": now, "stream": "stdout", "message": "only here"}])
    process = {"kind": "exec", "type": "execve", "phase": "run", "result": 0, "exe": "/tmp/x"}
    write("events", [{**INFERRED.columns(), "time": now, "detail": "{}", **process}])


def one(uid: str) -> KubeObject:
    return KubeObject("Pod", "shop", uid, uid, labels=(("app", uid),), revision="7")


def lines(history: History, **asked: str) -> list[dict[str, Any]]:
    blocks = b"".join(history.lines("logs", Filter(**asked), 100))  # type: ignore[arg-type]  # texts only
    return [orjson.loads(line) for line in blocks.splitlines()]


def test_a_line_is_found_by_the_workload_that_became_known(history: History) -> None:
    found = lines(history, workload="till")
    assert [line["container_id"] for line in found] == ["late"]
    assert (found[0]["workload_kind"], found[0]["revision"], found[0]["team"]) == ("Rollout", "7", "pay")
    assert "workload=kubernetes" in found[0]["identity_source"]
    assert "inferred" not in found[0]["identity_source"]


def test_and_no_more_by_the_one_that_was_inferred(history: History) -> None:
    assert {line["container_id"] for line in lines(history, workload="deploy/checkout")} == {"whole"}
    assert {line["container_id"] for line in lines(history, team="pay")} == {"late"}
    assert lines(history, team="cart") == [], "what was frozen at event time stays"


def test_by_labels_that_only_the_api_server_told(history: History) -> None:
    assert {line["container_id"] for line in lines(history, selector="app=u-late")} == {"late"}
    assert {line["container_id"] for line in lines(history, selector="app in (u-late,u-2)")} == {
        "late",
        "whole",
    }


def test_in_every_table_and_list(history: History) -> None:
    assert [row["workload"] for row in history.rows("events", Filter(workload="till"), 10)] == ["till"]
    assert [row["workload"] for row in history.rows("lifecycle", Filter(), 10)] == ["till", "checkout"]
    named = {(row["workload_kind"], row["workload"]) for row in history.workloads(Filter())}
    assert named == {("Rollout", "till"), ("Deployment", "checkout")}


def test_instances_are_compared(history: History) -> None:
    found = history.compare("line", Filter(namespace="shop"), 10, 0)
    assert [(row["value"], row["instances"], row["of"]) for row in found["values"]] == [
        ("only here", 1, 2), ("#: order # done", 2, 2),
    ]  # fmt: skip
    assert found["values"][0]["among"] == [{"pod": "checkout-5d-y", "container_id": "whole", "node": "n"}]
    assert len(history.compare("line", Filter(), 10, 1)["values"]) == 1
    assert history.compare("process", Filter(), 10, 0)["values"][0]["value"] == "/tmp/x"
    assert history.compare("file", Filter(), 10, 0)["values"] == []


def test_where_nothing_is_late_nothing_is_asked_twice(history: History, tmp_path: Path) -> None:
    del tmp_path
    asked = late_owners.LateOwners(history._database, time.time_ns)
    assert [one.container_id for one in asked.owners("1h")] == ["late"]
    assert asked.owners("1h") is asked.owners("1h")
    assert asked.owners("what") == asked.owners("")
