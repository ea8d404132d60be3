"""What must not be stored is not in the record, in whatever shape it comes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from keelwatch.audit.records import audit_row
from keelwatch.audit.redact import LAST_APPLIED, MAX_DEPTH, redacted
from keelwatch.detect.samples import make_audit_event

CANARY = "hunter2-canary"
SECRET = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"password-key": CANARY}, "type": "Opaque"}
SHAPES: list[tuple[str, Any]] = [
    ("secrets", SECRET),
    ("secrets", {"stringData": {"password-key": CANARY}}),
    ("secrets", {"kind": "SecretList", "items": [{"data": {"password-key": CANARY}}, SECRET]}),
    ("secrets", [{"op": "replace", "path": "/data/password-key", "value": CANARY}]),
    ("secrets", [{"op": "add", "path": "/data", "value": {"password-key": CANARY}}]),
    ("secrets", {"data": CANARY}),
    ("secrets", CANARY),
    (
        "secrets",
        {"metadata": {"annotations": {LAST_APPLIED: f'{{"data":"{CANARY}"}}'}}, "data": {"password-key": ""}},
    ),
    ("configmaps", {"kind": "ConfigMap", "data": {"password-key": CANARY}, "binaryData": {"x": CANARY}}),
    ("pods", {"metadata": {"annotations": {LAST_APPLIED: CANARY}}, "spec": {"password-key": 1}}),
    ("widgets", {"spec": {"template": SECRET}}),
    ("widgets", {"kind": "List", "items": [{"nested": [SECRET]}]}),
    ("serviceaccounts", {"kind": "TokenRequest", "status": {"token": CANARY}, "password-key": 1}),
    ("tokenreviews", {"kind": "TokenReview", "spec": {"token": CANARY}, "password-key": 1}),
    ("widgets", {"spec": {"clientSecret": CANARY, "Password": CANARY, "password-key": 1}}),
]


@pytest.mark.parametrize(("resource", "shape"), SHAPES)
@pytest.mark.parametrize("part", ["requestObject", "responseObject"])
def test_secrets_are_not_stored(resource: str, shape: Any, part: str) -> None:
    event = make_audit_event({"kind": "audit", "objectRef": {"resource": resource}, part: shape})
    stored = orjson.dumps(audit_row(redacted(event), 1)).decode()
    assert CANARY not in stored
    if "password-key" in orjson.dumps(shape).decode() and not isinstance(shape, str):
        assert "password-key" in stored, "keys stay: they tell what was there"
    assert CANARY in orjson.dumps(event.raw).decode(), "rules see the event as it came"


def test_other_data_stays() -> None:
    shape = {"kind": "Pod", "spec": {"volumes": [{"name": "data"}], "data": {"a": "b"}}, "metadata": {}}
    event = make_audit_event({"kind": "audit", "objectRef": {"resource": "pods"}, "requestObject": shape})
    assert redacted(event).raw["requestObject"] == shape


def test_managed_fields_are_left_out() -> None:
    shape = {"metadata": {"name": "x", "managedFields": [{"manager": "kubectl"}]}}
    event = make_audit_event({"kind": "audit", "requestObject": shape})
    assert redacted(event).raw["requestObject"] == {"metadata": {"name": "x"}}


def test_depth_is_bounded() -> None:
    deep: Any = CANARY
    for _ in range(900):
        deep = [deep]
    event = make_audit_event({"kind": "audit", "objectRef": {"resource": "secrets"}, "requestObject": deep})
    text = orjson.dumps(redacted(event).raw).decode()
    assert CANARY not in text
    assert text.count("[") < MAX_DEPTH + 20
