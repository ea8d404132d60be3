"""Audit events and their alerts as rows of the tables `audit` and `alerts` (docs/reference/records.md).

Rows are made of redacted events only.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import orjson

from keelwatch.audit.parse import requested
from keelwatch.detect.fields.audit import command
from keelwatch.detect.rules import Rule
from keelwatch.detect.ulid import named_ulid
from keelwatch.model.audit import AUDIT_KIND, AuditEvent

Row = dict[str, Any]
MAX_TEXT = 1024
MAX_URI = 16 << 10
MAX_LIST = 100
MAX_BODY = 64 << 10
"""Bytes of a request's or response's JSON that are stored; of a longer one only what it is."""
MAX_U16 = 0xFFFF


@dataclass(slots=True)
class AuditAlert:
    """A rule that fired on a request. `count` is how many equal firings this alert stands for."""

    rule: Rule
    event: AuditEvent  # redacted
    count: int = 1

    @property
    def id(self) -> str:
        """The same for the same rule and event, so that nothing is alerted twice after a crash."""
        return named_ulid(self.event.time, "\0".join((*self.event.key[:2], self.rule.name)))


def audit_row(event: AuditEvent, received: int) -> Row:
    """One row of `audit`. `received` is when the hub took it."""
    status = event.get("responseStatus", "code")
    bodies = {name: _body(event.get(key)) for name, key in _BODIES.items()}
    truncated = any(cut for _, cut in bodies.values()) or _cut_by_server(event)
    return {
        **event.identity.columns(),
        "time": event.time,
        "requested": requested(event),
        "received": received,
        "audit_id": event.text("auditID"),
        "stage": event.text("stage"),
        "level": event.text("level"),
        "verb": event.text("verb"),
        "uri": event.text("requestURI")[:MAX_URI],
        **_user_columns(event),
        "source_ips": [address(one) for one in event.texts("sourceIPs")[:MAX_LIST]],
        "user_agent": event.text("userAgent")[:MAX_TEXT],
        "api_group": event.text("objectRef", "apiGroup")[:MAX_TEXT],
        "api_version": event.text("objectRef", "apiVersion")[:MAX_TEXT],
        "resource": event.text("objectRef", "resource")[:MAX_TEXT],
        "subresource": event.text("objectRef", "subresource")[:MAX_TEXT],
        "name": event.text("objectRef", "name")[:MAX_TEXT],
        "code": max(0, min(status, MAX_U16)) if isinstance(status, int) else 0,
        "reason": event.text("responseStatus", "reason")[:MAX_TEXT],
        "decision": event.text("annotations", "authorization.k8s.io/decision")[:MAX_TEXT],
        "command": command(event)[:MAX_URI],
        "annotations": _object(event.get("annotations")),
        "request_object": bodies["request_object"][0],
        "response_object": bodies["response_object"][0],
        "truncated": int(truncated),
        "source": event.source,
    }


_BODIES = {"request_object": "requestObject", "response_object": "responseObject"}


def alert_row(alert: AuditAlert) -> Row:
    """One row of `alerts`: no process, the request in `detail`."""
    event = alert.event
    return {
        **event.identity.columns(),
        "time": event.time,
        "id": alert.id,
        "rule": alert.rule.name,
        "priority": alert.rule.priority,
        "tags": list(alert.rule.tags),
        "output": alert.rule.output.format(event),
        "source": alert.rule.source,
        "count": alert.count,
        "kind": AUDIT_KIND,
        "type": event.text("verb"),
        "detail": orjson.dumps(_detail(event)).decode(),
    }


def _detail(event: AuditEvent) -> Row:
    """What the request was; absent where it says nothing."""
    target = {name: str(value)[:MAX_TEXT] for name, value in event.target.items() if value}
    found = {
        "user": event.text("user", "username")[:MAX_TEXT],
        "groups": _short(event.texts("user", "groups")),
        "impersonated_user": event.text("impersonatedUser", "username")[:MAX_TEXT],
        "source_ips": [address(one) for one in event.texts("sourceIPs")[:MAX_LIST]],
        "user_agent": event.text("userAgent")[:MAX_TEXT],
        "verb": event.text("verb"),
        "uri": event.text("requestURI")[:MAX_URI],
        "target": target,
        "command": command(event)[:MAX_URI],
        "code": event.get("responseStatus", "code"),
        "decision": event.text("annotations", "authorization.k8s.io/decision")[:MAX_TEXT],
        "audit_id": event.text("auditID"),
        "stage": event.text("stage"),
    }
    return {name: value for name, value in found.items() if value}


def _user_columns(event: AuditEvent) -> Row:
    return {
        "user": event.text("user", "username")[:MAX_TEXT],
        "user_uid": event.text("user", "uid")[:MAX_TEXT],
        "groups": _short(event.texts("user", "groups")),
        "user_extra": _object(event.get("user", "extra")),
        "impersonated_user": event.text("impersonatedUser", "username")[:MAX_TEXT],
        "impersonated_groups": _short(event.texts("impersonatedUser", "groups")),
    }


def _short(values: list[str]) -> list[str]:
    return [value[:MAX_TEXT] for value in values[:MAX_LIST]]


def address(text: str) -> str:
    """A source address in its canonical form; what a client made up is cut."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text[:MAX_TEXT]


def _cut_by_server(event: AuditEvent) -> bool:
    return event.text("annotations", "audit.k8s.io/truncated") == "true"


def _object(value: Any) -> str:
    """A small object as JSON; "" for none."""
    return _body(value)[0] if value else ""


def _body(value: Any) -> tuple[str, bool]:
    """A body as JSON, and whether it was too long and is told in short."""
    if value is None:
        return "", False
    text = orjson.dumps(value)
    if len(text) <= MAX_BODY:
        return text.decode(), False
    return orjson.dumps({**_gist(value), "truncated": len(text)}).decode(), True


def _gist(value: Any) -> Row:
    """What an object is, without what is in it."""
    if not isinstance(value, dict):
        return {}
    metadata = value.get("metadata")
    of = metadata if isinstance(metadata, dict) else {}
    short = {key: str(of[key])[:MAX_TEXT] for key in ("namespace", "name", "uid") if of.get(key)}
    kind = {key: str(value[key])[:MAX_TEXT] for key in ("kind", "apiVersion") if value.get(key)}
    return {**kind, "metadata": short}
