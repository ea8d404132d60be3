"""How values look in the pages: times, counts, colours, links. Everything else Jinja escapes itself."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup, escape

from keelwatch.kit.text import amount_of, by_whom, parse_time, printable, short_time
from keelwatch.query.filter import KINDS

HUES = 8
FILTERS: tuple[str, ...] = (
    "cluster", "node", "namespace", "workload", "pod", "container", "container_id", "team",
    "selector", "since", "until", "grep", "regex", "stream", "priority", "rule", "what", "cause",
    "user", "kind", "confidence",
)  # fmt: skip
"""Filters a page may have in its address, named as in the HTTP API."""
_DRIFT = {
    "new": "not in the image",
    "changed": "differs from the image's file",
    "image": "equals the image's file",
    "gone": "gone before it could be examined",
}
_HOW = {"inherited": "through a descriptor it inherited"}
_SOURCE = {"kernel": "the kernel's object", "user": "the caller's string"}


def environment() -> Environment:
    """The Jinja environment of the console: escaping is on for every template."""
    folder = Path(__file__).parents[1] / "templates"
    made = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=ChainableUndefined,
                       trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    made.filters.update(
        active_filters=active_filters, ago=ago, by_whom=by_whom, bytes=byte_size, clock=clock,
        content_words=content_words, drift_words=drift_words, how_words=how_words, hue=hue, instance=instance,
        instance_title=instance_title, json=to_json, lost=lost,
        marked=marked, mode=mode, number=number, slug=slug, source_words=source_words, span=span, stamp=stamp,
        visible=visible, with_query=with_query, workload_path=workload_path, workload_query=workload_query,
    )  # fmt: skip
    return made


def visible(value: object) -> str:
    """Text with control and bidirectional characters made visible; `None` is empty."""
    return "" if value is None else printable(value)


def marked(value: object, needle: str) -> Markup:
    """Text as `visible`, with each occurrence of the search text marked."""
    if not needle:
        return escape(visible(value))
    parts = [escape(visible(part)) for part in str(value).split(needle)]
    return (Markup("<mark>") + escape(visible(needle)) + Markup("</mark>")).join(parts)


def stamp(rfc3339: str | None, digits: int = 0) -> str:
    """`11-23 16:12:57`: without the year unless it is another one."""
    if not rfc3339 or parse_time(rfc3339) is None:
        return ""
    text = short_time(rfc3339, digits=digits)
    return text[5:] if text[:4] == str(datetime.now(UTC).year) else text


def clock(now: datetime) -> str:
    """`2026-11-23 16:12`."""
    return f"{now:%Y-%m-%d %H:%M}"


def ago(rfc3339: str | None, now: datetime | None = None) -> str:
    """`3 minutes ago`; "never" where there is no time."""
    then = parse_time(rfc3339) if rfc3339 else None
    if then is None:
        return "never"
    seconds = int(((now or datetime.now(UTC)) - then).total_seconds())
    if seconds < 5:
        return "just now"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return f"{seconds} seconds ago"


def span(duration: str) -> str:
    """`24h` → `24 hours`; anything else as it is."""
    found = re.fullmatch(r"(\d+)([smhd])", duration)
    if not found:
        return f"time since {duration}"
    unit = {"s": "second", "m": "minute", "h": "hour", "d": "day"}[found[2]]
    return f"{found[1]} {unit}{'s' * (found[1] != '1')}"


def number(value: Any) -> str:
    """`12345` → `12,345`."""
    return f"{int(value or 0):,}"


def byte_size(value: int) -> str:
    """`1536` → `1.5 KiB (1,536 bytes)`."""
    size = float(value)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{value:,} bytes" if unit == "bytes" else f"{size:.1f} {unit} ({value:,} bytes)"


def mode(value: int) -> str:
    """Permission bits in octal, as chmod(1) takes them."""
    return f"{value & 0o7777:04o}"


def drift_words(value: str) -> str:
    """What the comparison with the image found."""
    return _DRIFT.get(value, value)


content_words = drift_words


def source_words(value: str) -> str:
    """Where a path comes from."""
    return _SOURCE.get(value, value)


def lost(gap: Mapping[str, Any]) -> str:
    """How much a gap lost: `12 events`, or how long nothing was observed."""
    return visible(amount_of(gap))


def how_words(value: str) -> str:
    """How a process did its step of a file's story."""
    return _HOW.get(value, value)


def slug(value: object) -> str:
    """A class name made of letters and digits only."""
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower())


def hue(container_id: str) -> str:
    """The colour class of an instance; the same container has the same one everywhere."""
    return f"i{zlib.crc32(container_id.encode('utf-8', 'replace')) % HUES}"


def instance(record: Mapping[str, Any]) -> str:
    """`pod/container`; outside Kubernetes the container's name or short id; else the node."""
    pod, container = record.get("pod") or "", record.get("container") or ""
    short_id = (record.get("container_id") or "")[:12]
    named = "/".join(part for part in (pod, container) if part)
    return visible(named or short_id or record.get("node") or "-")


def instance_title(record: Mapping[str, Any]) -> str:
    """Everything that tells this instance from others, for the tooltip."""
    names = ("namespace", "workload", "pod", "container", "container_id", "node")
    return visible(" · ".join(str(record[name]) for name in names if record.get(name)))


def to_json(value: Any) -> str:
    """JSON for a data attribute; the template escapes it like any text."""
    return orjson.dumps(value).decode()


def with_query(query: Mapping[str, str], **changes: str | None) -> str:
    """The page's own address with some filters changed; `None` takes one away."""
    kept = {name: value for name, value in (query | changes).items() if value}  # type: ignore[operator]
    return "?" + urlencode(kept)


def active_filters(filters: Mapping[str, str]) -> list[tuple[str, str]]:
    """The filters to show as removable chips: all but the time range's start."""
    return [(name, filters[name]) for name in FILTERS if filters.get(name) and name != "since"]


def workload_path(record: Mapping[str, Any]) -> str:
    """The address of a workload's page; `-` stands for an empty part."""
    parts = (record.get("namespace"), record.get("workload_kind"), record.get("workload"))
    if any("/" in str(part or "") for part in parts[:2]):  # no such names in Kubernetes, but who knows
        return "/workloads?" + workload_query(record)
    return "/workloads/" + "/".join(quote(str(part or "-"), safe="") for part in parts)


def workload_name(record: Mapping[str, Any]) -> str:
    """`Deployment/checkout`; only the name where the kind is none that a filter knows."""
    kind, name = str(record.get("workload_kind") or ""), str(record.get("workload") or "")
    return f"{kind}/{name}" if kind.lower() in KINDS else name


def workload_query(record: Mapping[str, Any], since: str = "7d") -> str:
    """The filters that select a workload in the other pages."""
    chosen = {"namespace": record.get("namespace"), "workload": workload_name(record), "since": since}
    return urlencode({key: value for key, value in chosen.items() if value})
