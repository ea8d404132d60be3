"""Which pod is asked for, for an audit event."""

from __future__ import annotations

from typing import Any

import pytest

from keelwatch.audit.identity import PodAt, identity_of
from keelwatch.model.audit import AuditEvent
from keelwatch.model.identity import Identity

NOW = 1_768_478_400_000_000_000
ANSWER = {"kind": "Pod", "metadata": {"name": "web-0", "uid": "u-2"}}


def asked(verb: str = "get", **more: Any) -> PodAt:
    target = {"resource": "pods", "namespace": "shop", "name": "web-0", "uid": "u-forged"}
    event = AuditEvent(NOW, {"verb": verb, "objectRef": target, **more})
    found: list[PodAt] = []

    def identify(pod: PodAt) -> Identity | None:
        found.append(pod)
        return None

    assert identity_of(event, "c", identify) == Identity(cluster="c", namespace="shop", pod="web-0")
    return found[0]


def test_the_pod_of_the_events_time_is_asked_for() -> None:
    assert asked() == PodAt("shop", "web-0", NOW)


@pytest.mark.parametrize(
    ("more", "uid"),
    [
        ({"responseObject": ANSWER}, "u-2"),
        ({"requestObject": ANSWER}, ""),
        ({"responseObject": {"kind": "Status", "metadata": {"uid": "u-9"}}}, ""),
        ({"responseObject": ["x"]}, ""),
    ],
)
def test_only_the_servers_answer_names_a_uid(more: dict[str, Any], uid: str) -> None:
    assert asked(**more).uid == uid


def test_what_makes_a_pod() -> None:
    made = {"responseStatus": {"code": 201}}
    assert asked("create", **made).creates
    assert asked("create").creates
    assert not asked("create", responseStatus={"code": 409}).creates
    assert not asked("update", **made).creates
