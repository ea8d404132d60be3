"""Items → lists, macros and rules, with later items replacing, appending to or overriding earlier.

This is where the files of the product and those of the operator come together, in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from keelwatch.detect.errors import Place, Problems
from keelwatch.detect.exceptions import Exclusion, joined, read_exceptions
from keelwatch.detect.load import Item
from keelwatch.detect.text import Text

PRIORITIES: tuple[str, ...] = (
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFORMATIONAL",
    "DEBUG",
)
"""From the most to the least urgent, as an alert carries them."""
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
OVERRIDES: dict[str, dict[str, frozenset[str]]] = {
    "rule": {
        "append": frozenset({"condition", "output", "desc", "tags", "exceptions"}),
        "replace": frozenset(
            {"condition", "output", "desc", "tags", "priority", "enabled", "source", "exceptions"}
        ),
    },
    "macro": {"append": frozenset({"condition"}), "replace": frozenset({"condition"})},
    "list": {"append": frozenset({"items"}), "replace": frozenset({"items"})},
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A list (`items`), a macro (`condition`) or a rule (all the rest), as written."""

    kind: str
    name: str
    place: Place
    items: tuple[Text, ...] = ()
    condition: Text | None = None
    output: Text | None = None
    desc: Text | None = None
    tags: tuple[Text, ...] = ()
    priority: str = ""
    source: str = "syscall"
    enabled: bool = True
    exceptions: tuple[Exclusion, ...] = ()


@dataclass(slots=True)
class Definitions:
    """All that is defined, by name, in the order of the first definition."""

    list: dict[str, Definition] = field(default_factory=dict)
    macro: dict[str, Definition] = field(default_factory=dict)
    rule: dict[str, Definition] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, Definition]:
        """The definitions of one kind."""
        found: dict[str, Definition] = getattr(self, kind)
        return found


def define(items: Iterable[Item], problems: Problems) -> Definitions:
    """Apply the items one behind the other."""
    known = Definitions()
    for item in items:
        _apply(item, known.of(item.kind), problems)
    return known


def _apply(item: Item, known: dict[str, Definition], problems: Problems) -> None:
    how = _override(item, problems)
    if "override" in item.nodes and not how:
        return
    before = known.get(item.name)
    if how or _only_enables(item):
        _change(item, how or {"enabled": "replace"}, before, known, problems)
        return
    found = _complete(item, problems)
    if before is not None and before.place.file == item.place.file:
        problems.warn(item.place, f"{item.kind} {item.name!r} replaces the one of line {before.place.line}")
    known[item.name] = found


def _only_enables(item: Item) -> bool:
    return item.kind == "rule" and set(item.nodes) == {"rule", "enabled"}


def _change(
    item: Item,
    how: dict[str, str],
    before: Definition | None,
    known: dict[str, Definition],
    problems: Problems,
) -> None:
    """Append to or replace parts of what is defined already."""
    if before is None:
        verb = "appends to" if "append" in how.values() else "overrides"
        problems.error(item.place, f"{item.kind} {item.name!r} {verb} one that is not defined before it")
        return
    values = _values(item, problems)
    for key, verb in how.items():
        if key not in values:
            problems.error(item.place, f"{item.kind} {item.name!r} overrides {key!r} but does not give it")
        elif verb == "append":
            add = joined if key == "exceptions" else _joined
            values[key] = add(getattr(before, key), values[key])
    known[item.name] = replace(before, **{key: values[key] for key in how if key in values})


def _joined(before: Any, more: Any) -> Any:
    return more if before is None else before + more


def _override(item: Item, problems: Problems) -> dict[str, str]:
    """For each key whether it is appended or replaced; empty for a definition of its own."""
    if _flag(item, "append", False, problems):
        return {key: "append" for key in ("condition", "items", "exceptions") if key in item.nodes}
    node = item.nodes.get("override")
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        problems.error(item.places["override"], "override must name keys", "write {condition: append}")
        return {}
    allowed = OVERRIDES[item.kind]
    found = {}
    for key, value in node.value:
        name, verb = str(key.value), str(value.value)
        if verb not in allowed or name not in allowed[verb]:
            can = ", ".join(f"{v} {k}" for v, keys in allowed.items() for k in sorted(keys))
            place = Place(item.place.file, key.start_mark.line + 1, key.start_mark.column + 1)
            problems.error(place, f"a {item.kind} cannot {verb} {name}", f"possible: {can}")
        else:
            found[name] = verb
    return found


def _complete(item: Item, problems: Problems) -> Definition:
    """A definition that stands for itself. What it lacks is noted; the rest of it is still checked."""
    needed = {
        "list": ("items",),
        "macro": ("condition",),
        "rule": ("condition", "output", "desc", "priority"),
    }[item.kind]
    absent = [key for key in needed if key not in item.nodes]
    if absent:
        problems.error(
            item.place, f"{item.kind} {item.name!r} has no {', '.join(absent)}", "add what is missing"
        )
    return Definition(item.kind, item.name, item.place, **_values(item, problems))


def _values(item: Item, problems: Problems) -> dict[str, Any]:
    """What the keys of an item say, as fields of a Definition; wrong ones are left out."""
    values: dict[str, Any] = {}
    for key in ("condition", "output", "desc"):
        if (text := item.text(key, problems)) is not None:
            values[key] = text
    for key in ("items", "tags"):
        if key in item.nodes:
            values[key] = tuple(item.texts(key, problems))
    if (priority := _priority(item, problems)) is not None:
        values["priority"] = priority
    if (source := item.text("source", problems)) is not None and item.kind != "list":
        values["source"] = source.value
    if "exceptions" in item.nodes:
        values["exceptions"] = read_exceptions(item, problems)
    if "enabled" in item.nodes:
        values["enabled"] = _flag(item, "enabled", True, problems)
    return values


def _priority(item: Item, problems: Problems) -> str | None:
    text = item.text("priority", problems)
    if text is None:
        return None
    name = text.value.strip().upper()
    name = "INFORMATIONAL" if name == "INFO" else name
    if name not in PRIORITIES:
        problems.error(text.place(), f"unknown priority {text.value!r}", "one of " + ", ".join(PRIORITIES))
        return None
    return name


def _flag(item: Item, key: str, default: bool, problems: Problems) -> bool:
    text = item.text(key, problems)
    if text is None:
        return default
    value = BOOLEANS.get(text.value.lower())
    if value is None:
        problems.error(text.place(), f"{key} must be true or false, not {text.value!r}")
    return default if value is None else value
