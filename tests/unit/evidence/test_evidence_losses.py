from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keelwatch.evidence.facts import Container
from keelwatch.evidence.gather import nodes, watches
from keelwatch.evidence.losses import Losses

S = 1_000_000_000
MINE = Container("c1", cluster="c", node="n1", namespace="shop", pod="cart-0", pod_uid="u1", container="app")
SIDECAR = replace(MINE, container_id="c2", container="proxy")
BEFORE = replace(MINE, container_id="c3", pod_uid="u0")  # a pod of the same name, deleted before
UNNAMED = replace(MINE, container_id="c4", namespace="", pod="", container="")  # its names are still to come
LISTED = replace(MINE, container_id="c5", pod_uid="")
NEIGHBOUR = replace(MINE, container_id="c6", pod="cart-1", pod_uid="u2")
ELSEWHERE = replace(MINE, container_id="c7", node="n2")
ABROAD = replace(MINE, container_id="c8", cluster="d")
EVERYONE = (MINE, SIDECAR, BEFORE, UNNAMED, LISTED, NEIGHBOUR, ELSEWHERE, ABROAD)


def row(**more: str) -> dict[str, Any]:
    whose = dict.fromkeys(("namespace", "pod", "pod_uid", "container", "container_id"), "")
    return {"cluster": "c", "node": "n1", **whose, "what": "exec", "cause": "ring_full", "unit": "events",
            "amount": 3, "begin_": 0, "end_": S, "detail_": "", **more}  # fmt: skip


@pytest.mark.parametrize(
    ("named", "hit"),
    [
        ({"container_id": "c1"}, [MINE]),
        ({"pod_uid": "u1"}, [MINE, SIDECAR, UNNAMED]),
        ({"namespace": "shop", "pod": "cart-0"}, [MINE, SIDECAR, BEFORE, LISTED]),
        ({"namespace": "shop", "pod": "cart-0", "pod_uid": "u1"}, [MINE, SIDECAR, UNNAMED, LISTED]),
        ({"namespace": "shop", "pod": "cart-0", "pod_uid": "u1", "container": "proxy"}, [SIDECAR]),
        ({"namespace": "blog", "pod": "cart-0"}, []),
        ({"cluster": "", "pod_uid": "u1"}, [MINE, SIDECAR, UNNAMED, ABROAD]),
    ],
)
def test_a_loss_that_names_a_pod_is_of_its_containers_only(
    named: dict[str, str], hit: list[Container]
) -> None:
    lost = Losses([row(**named)])
    assert [one for one in EVERYONE if lost.of(one)] == hit
    assert not lost.of_node(("c", "n1"))


def test_a_loss_that_names_nobody_is_of_its_node_and_the_hubs_of_any_cluster() -> None:
    lost = Losses([row(), row(cluster="", what="logs", cause="rejected"), row(cause="truncated")])
    assert not any(lost.of(one) for one in EVERYONE)
    agent = {"spool": "s", "cluster_": "c", "node_": "n1", "first": 0, "sessions": [(0, True, True, True)]}
    found = nodes([], watches([agent], [], {}), lost)["c", "n1"]
    assert [(loss.kind, loss.cause) for loss in found.losses] == [
        ("events", "ring_full"),
        ("logs", "rejected"),
    ]
    assert not lost.of_node(("c", "n2"))
