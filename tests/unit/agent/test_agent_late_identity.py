"""Rows of a new pod wait for the API server's word, within a bound, and never where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keelwatch.agent import late_identity
from keelwatch.agent.late_identity import LATE, Completion
from keelwatch.enrich.catalog import Catalog
from keelwatch.enrich.pod_identities import MARK, PodCache
from keelwatch.enrich.runtime import Runtimes
from keelwatch.model.identity import Identity

IDENTITY = Identity(
    node="n", namespace="shop", pod="checkout-5d-x", pod_uid="u-1", container="app", container_id="c1",
    workload_kind="Deployment", workload="checkout", identity_source="pod=cri workload=inferred",
)  # fmt: skip
POD = {
    "uid": "u-1", "namespace": "shop", "name": "checkout-5d-x",
    "workload_kind": "Rollout", "workload": "till",
    "revision": "5d", "team": "pay", "containers": {"app": {"image": "shop:1", "image_digest": "sha256:1"}},
}  # fmt: skip


def row(identity: Identity = IDENTITY) -> dict[str, Any]:
    return {**identity.columns(), "time": 1}


@pytest.fixture
def cache() -> PodCache:
    made = PodCache()
    made.take({"full": True, "pods": []})
    return made


@pytest.fixture
def completed(cache: PodCache) -> Completion:
    return Completion(cache, Catalog(Runtimes(), "c", "n", cache))


def test_a_row_waits_and_is_corrected(cache: PodCache, completed: Completion) -> None:
    waiting = row()
    assert not completed.settle("events", waiting)
    assert cache.take({"pods": [POD]}) == {"u-1"}
    assert completed.settle("events", waiting)
    assert (waiting["workload_kind"], waiting["workload"], waiting["team"]) == ("Rollout", "till", "pay")
    assert MARK in waiting["identity_source"]
    assert "inferred" not in waiting["identity_source"]
    assert waiting["image_digest"] == "sha256:1"


def test_an_alert_waits_less_and_then_goes_marked(
    completed: Completion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_identity, "ALERT_BOUND", 0.0)
    alert, event = row(), row()
    assert completed.settle("alerts", alert)
    assert LATE in alert["identity_source"]
    assert not completed.settle("events", event)
    assert completed.settle("events", event, last=True)


def test_all_rows_of_a_pod_have_one_deadline(completed: Completion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_identity, "BOUND", 100.0)
    assert not completed.settle("events", row())
    monkeypatch.setattr(late_identity, "BOUND", 0.0)
    assert completed.settle("events", row())


def test_nothing_waits_without_an_api_server_or_a_pod(cache: PodCache, completed: Completion) -> None:
    host = row(Identity(node="n"))
    assert completed.settle("events", host)
    cache.absent()
    alone = row()
    assert completed.idle
    assert completed.settle("events", alone)
    assert alone == row()


def test_what_is_known_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "pods.json"
    PodCache(path).take({"full": True, "pods": [POD]})
    again = PodCache(path)
    assert again.state == "away"
    assert again.complete(IDENTITY).workload == "till"
    path.write_text("[{]")
    assert PodCache(path).state == "unknown"


def test_a_pod_that_is_gone_is_still_known(cache: PodCache) -> None:
    cache.take({"pods": [POD]})
    cache.take({"pods": [], "gone": ["u-1"]})
    assert cache.complete(IDENTITY).team == "pay"
    assert cache.waits(IDENTITY, 5) == 0


def test_a_static_pod_is_found_by_its_name(cache: PodCache) -> None:
    cache.take({"pods": [POD | {"uid": "mirror"}]})
    assert cache.complete(IDENTITY) == IDENTITY
    cache.take({"pods": [POD | {"uid": "mirror", "static": True}]})
    assert cache.complete(IDENTITY).workload == "till"
    assert cache.concerns(IDENTITY, {"mirror"})


@pytest.mark.parametrize("answer", [{}, {"pods": 3}, {"pods": [None, {}, {"uid": 1}], "gone": [1, {}]}])
def test_an_answer_of_another_shape_breaks_nothing(cache: PodCache, answer: dict[str, Any]) -> None:
    assert cache.take(answer) == set()
