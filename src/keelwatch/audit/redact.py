"""A copy of an audit event that may be stored: without the data of Secrets and ConfigMaps, and tokens.

Of Secrets and ConfigMaps only the keys stay. They come as objects, as lists of them, as patches of
any type, and inside the annotation in which kubectl keeps what it applied last; so it is the resource
that decides, and the kind wherever one stands. Tokens and passwords go by the name of their key.
"""

from __future__ import annotations

from typing import Any

from keelwatch.model.audit import AuditEvent

REDACTED = "(redacted)"
TOO_DEEP = "(nested too deeply)"
MAX_DEPTH = 64
BODIES = ("requestObject", "responseObject")
CONFIDENTIAL = frozenset({"secrets", "configmaps"})
CONFIDENTIAL_KINDS = frozenset({"Secret", "ConfigMap"})
DATA = frozenset({"data", "stringData", "binaryData"})
NAMES = frozenset(
    {"token", "bearertoken", "password", "passwd", "clientsecret", "client_secret", "access_token",
     "refresh_token", "id_token", "idtoken", "refreshtoken", "client-key-data"}
)  # fmt: skip
"""Keys whose texts are not stored, in lower case."""
LEFT_OUT = frozenset({"managedFields"})
"""What only makes records long."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def redacted(event: AuditEvent) -> AuditEvent:
    """The event without what must not be stored. The original stays as it is."""
    confidential = event.target.get("resource") in CONFIDENTIAL
    raw = dict(event.raw)
    for name in BODIES:
        if raw.get(name) is not None:
            raw[name] = _clean(raw[name], confidential, 0)
            if confidential and not isinstance(raw[name], dict | list):
                raw[name] = REDACTED
    return AuditEvent(event.time, raw, event.identity, event.source)


def _clean(value: Any, confidential: bool, depth: int) -> Any:
    """A copy; `confidential` where the data of a Secret or ConfigMap may stand."""
    if depth > MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, list):
        return [_item(one, confidential, depth) for one in value]
    if isinstance(value, dict):
        inside = confidential or value.get("kind") in CONFIDENTIAL_KINDS
        return {key: _member(key, one, inside, depth) for key, one in value.items() if key not in LEFT_OUT}
    return value


def _item(value: Any, confidential: bool, depth: int) -> Any:
    """An item of a list. An operation of a JSON patch (RFC 6902) has its value under `value`."""
    if confidential and isinstance(value, dict) and "op" in value and "value" in value:
        return {**_clean({key: one for key, one in value.items() if key != "value"}, True, depth + 1),
                "value": keys_only(value["value"])}  # fmt: skip
    return _clean(value, confidential, depth + 1)


def _member(key: str, value: Any, confidential: bool, depth: int) -> Any:
    if confidential and key in DATA:
        return keys_only(value)
    if key == LAST_APPLIED or (key.lower() in NAMES and isinstance(value, str)):
        return REDACTED
    return _clean(value, confidential, depth + 1)


def keys_only(value: Any) -> Any:
    """The same keys, and nothing of their values."""
    return dict.fromkeys(value, REDACTED) if isinstance(value, dict) else REDACTED
