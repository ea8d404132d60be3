"""Bytes of a request or of a log file → audit events, and what is wrong with the others, with its place.

Bounded: a number of items, the length of names; size is bounded by who reads the bytes. What is
checked here is what keelwatch relies on; request and response bodies can be any JSON.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from keelwatch.kit.text import printable
from keelwatch.model.audit import API_VERSION, LEVELS, STAGES, AuditEvent

MAX_ITEMS = 50_000
MAX_NAME = 1024
MAX_ID = 128
MAX_HEADER = 1 << 20
"""As long as what a client puts into one header can be, and more."""
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 60

_NAMES = ("verb",)
_OPTIONAL_TEXTS = ("requestURI", "userAgent")
_OPTIONAL_OBJECTS = ("user", "impersonatedUser", "objectRef", "responseStatus", "annotations")
_USER_TEXTS = ("username", "uid")
_TARGET_TEXTS = ("resource", "namespace", "name", "uid", "apiGroup", "apiVersion", "subresource")


class InvalidError(ValueError):
    """What makes an event, or a whole list, unusable. `place` is like `items[3].stage`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


@dataclass(slots=True)
class Parsed:
    """The events that can be used, and what is wrong with the others."""

    events: list[AuditEvent] = field(default_factory=list)
    mistakes: list[InvalidError] = field(default_factory=list)


def parse_list(body: bytes | bytearray) -> Parsed:
    """The events of an EventList; raise InvalidError when it is none."""
    found = _json(body)
    _version(found, "EventList", "")
    items = found.get("items")
    if not isinstance(items, list):
        raise InvalidError("items", f"must be a list, not {_shown(items)}")
    if len(items) > MAX_ITEMS:
        raise InvalidError("items", f"{len(items)} items; the limit is {MAX_ITEMS}")
    parsed = Parsed()
    for number, item in enumerate(items):
        _take(parsed, item, f"items[{number}]", "webhook")
    return parsed


def parse_lines(chunk: bytes, file: str, offset: int) -> Parsed:
    """The events of whole lines of a log file, of which `offset` is where the chunk begins."""
    parsed = Parsed()
    for line in chunk.splitlines(keepends=True):
        place = f"{file} at byte {offset}"
        offset += len(line)
        if not line.strip():
            continue
        try:
            item = _json(line)
            _version(item, "Event", "")
        except InvalidError as error:
            parsed.mistakes.append(InvalidError(place, str(error)))
            continue
        _take(parsed, item, place, "file")
    return parsed


def _take(parsed: Parsed, item: Any, place: str, source: str) -> None:
    try:
        parsed.events.append(parse_event(item, place, source))
    except InvalidError as error:
        parsed.mistakes.append(error)


def parse_event(item: Any, place: str, source: str) -> AuditEvent:
    """One event; raise InvalidError with the place of the first thing that is wrong."""
    if not isinstance(item, dict):
        raise InvalidError(place, f"must be an object, not {_shown(item)}")
    item["auditID"] = _short_id(_text(item, "auditID", place, MAX_HEADER))
    for name, allowed in (("stage", STAGES), ("level", LEVELS)):
        if _text(item, name, place, MAX_NAME) not in allowed:
            raise InvalidError(f"{place}.{name}", f"{_shown(item[name])} is not one of {', '.join(allowed)}")
    for name in _NAMES:
        _text(item, name, place, MAX_NAME)
    for name in _OPTIONAL_TEXTS:
        _optional(item, name, place, str, "text")
    for name in _OPTIONAL_OBJECTS:
        _optional(item, name, place, dict, "an object")
    _users(item, place)
    for name in _TARGET_TEXTS:
        _optional(item.get("objectRef") or {}, name, f"{place}.objectRef", str, "text")
    _optional(item.get("responseStatus") or {}, "code", f"{place}.responseStatus", int, "a number")
    _texts(item, "sourceIPs", place)
    return AuditEvent(moment(item.get("stageTimestamp"), f"{place}.stageTimestamp"), item, source=source)


def _short_id(audit_id: str) -> str:
    """The audit ID; a caller may choose it as long as a header can be, and must not be lost for that."""
    if len(audit_id) <= MAX_ID:
        return audit_id
    digest = hashlib.sha256(audit_id.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{audit_id[: MAX_ID - len(digest) - 1]}~{digest}"


def _users(item: dict[str, Any], place: str) -> None:
    """A request that nobody was recognised in has an empty user."""
    for name in ("user", "impersonatedUser"):
        user = item.get(name) or {}
        for part in _USER_TEXTS:
            _optional(user, part, f"{place}.{name}", str, "text")
        _texts(user, "groups", f"{place}.{name}")
        _optional(user, "extra", f"{place}.{name}", dict, "an object")


def _json(data: bytes | bytearray) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidError("", f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidError("", f"must be an object, not {_shown(found)}")
    return found


def _version(found: dict[str, Any], kind: str, place: str) -> None:
    if found.get("apiVersion") != API_VERSION:
        message = f"{_shown(found.get('apiVersion'))} is not {API_VERSION}"
        raise InvalidError(f"{place}apiVersion", message)
    if found.get("kind") != kind:
        raise InvalidError(f"{place}kind", f"{_shown(found.get('kind'))} is not {kind}")


def _text(item: dict[str, Any], name: str, place: str, longest: int) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidError(f"{place}.{name}", f"must be text, not {_shown(value)}")
    if len(value) > longest:
        raise InvalidError(f"{place}.{name}", f"{len(value)} characters; the limit is {longest}")
    return value


def _optional(item: dict[str, Any], name: str, place: str, kind: type, what: str) -> None:
    value = item.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidError(f"{place}.{name}", f"must be {what}, not {_shown(value)}")


def _texts(item: dict[str, Any], name: str, place: str) -> None:
    value = item.get(name)
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidError(f"{place}.{name}", f"must be a list of texts, not {_shown(value)}")


def requested(event: AuditEvent) -> int:
    """When the API server received the request: the same for all its stages; 0 where that is not told."""
    try:
        return moment(event.get("requestReceivedTimestamp"), "requestReceivedTimestamp")
    except InvalidError:
        return 0


def moment(value: Any, place: str) -> int:
    """RFC 3339 → nanoseconds since the epoch, or InvalidError. Events carry microseconds."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        at = None
    if at is None or at.tzinfo is None or not _EARLIEST <= at < _LATEST:
        raise InvalidError(place, f"{_shown(value)} is not a time (RFC 3339)")
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _shown(value: Any) -> str:
    """A value for a message: short and printable."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = printable(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
