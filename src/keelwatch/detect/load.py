"""Bytes of a rule file → its items, with the place of each. Bounded; reports all mistakes at once.

Nothing here knows what a condition means. YAML aliases are allowed but counted, depth and size are
limited before a tree is built, so that a hostile file costs no more than its length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from keelwatch.detect.errors import Place, Problems
from keelwatch.detect.text import Document, Text, text_of

MAX_FILE = 4 << 20
MAX_DEPTH = 16
MAX_ALIASES = 256
MAX_ITEMS = 20_000
"""Rules, macros and lists in one file."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

RULE_KEYS = """rule desc condition output priority tags source enabled append override exceptions
    warn_evttypes skip-if-unknown-filter capture capture_duration"""
KEYS: dict[str, frozenset[str]] = {
    "rule": frozenset(RULE_KEYS.split()),
    "macro": frozenset({"macro", "condition", "append", "override", "source"}),
    "list": frozenset({"list", "items", "append", "override"}),
}
HEADERS = ("required_engine_version", "required_plugin_versions")


@dataclass(slots=True)
class Item:
    """One `- rule:`, `- macro:` or `- list:`. `nodes` are its keys, `places` where each stands."""

    kind: str
    name: str
    place: Place
    document: Document
    nodes: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def text(self, key: str, problems: Problems) -> Text | None:
        """The text of a key; None (and a mistake noted) when it is not text."""
        node = self.nodes.get(key)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            problems.error(self.places[key], f"{key} of {self.kind} {self.name!r} must be text")
            return None
        return text_of(node, self.document)

    def texts(self, key: str, problems: Problems) -> list[Text]:
        """The texts of a key that holds a sequence of them."""
        node = self.nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            problems.error(
                self.places[key], f"{key} of {self.kind} {self.name!r} must be a list", "write [a, b]"
            )
            return []
        found = []
        for child in node.value:
            if isinstance(child, yaml.ScalarNode):
                found.append(text_of(child, self.document))
            else:
                problems.error(
                    _place(child, self.document), f"{key} of {self.kind} {self.name!r} must hold texts"
                )
        return found


def load(file: str, data: bytes, problems: Problems) -> list[Item]:
    """Return the items of a file; what cannot be understood is noted in `problems`."""
    if len(data) > MAX_FILE:
        problems.error(Place(file), f"file of {len(data)} bytes", f"the limit is {MAX_FILE}; split it")
        return []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        problems.error(
            Place(file, line, error.start - before.rfind(b"\n")), "not UTF-8", "save the file as UTF-8"
        )
        return []
    return _items(Document(file, text), problems)


def _items(document: Document, problems: Problems) -> list[Item]:
    try:
        if not _bounded(document, problems):
            return []
        roots = list(yaml.compose_all(document.text, Loader=LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(document.file, mark.line + 1, mark.column + 1) if mark else Place(document.file)
        problems.error(place, f"not YAML: {error.problem or error.context}")
        return []
    except yaml.YAMLError as error:
        problems.error(Place(document.file), f"not YAML: {error}".split("\n")[0])
        return []
    return [item for root in roots if root is not None for item in _of_root(root, document, problems)]


def _bounded(document: Document, problems: Problems) -> bool:
    """Look at the events of the file before a tree is made of them."""
    depth = aliases = 0
    for event in yaml.parse(document.text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            what = (
                f"deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"more than {MAX_ALIASES} aliases"
            )
            problems.error(
                _place(event, document), what, "rule files are flat lists of rules, macros and lists"
            )
            return False
    return True


def _of_root(root: Any, document: Document, problems: Problems) -> list[Item]:
    if _is_null(root):
        return []
    if not isinstance(root, yaml.SequenceNode):
        problems.error(_place(root, document), "a rule file is a sequence", "begin each item with '- rule:'")
        return []
    if len(root.value) > MAX_ITEMS:
        problems.error(
            _place(root, document), f"{len(root.value)} items", f"the limit is {MAX_ITEMS} in one file"
        )
        return []
    found = [_item(node, document, problems) for node in root.value]
    return [item for item in found if item is not None]


def _item(node: Any, document: Document, problems: Problems) -> Item | None:
    place = _place(node, document)
    if not isinstance(node, yaml.MappingNode):
        if not _is_null(node):
            problems.error(place, "expected a rule, a macro or a list", "write '- rule: name'")
        return None
    pairs = _pairs(node, document, problems)
    kind = next((kind for kind in KEYS if kind in pairs), None)
    if kind is None:
        if not any(header in pairs for header in HEADERS):
            known = ", ".join((*KEYS, *HEADERS))
            problems.warn(place, f"ignored: none of its keys is one of {known}", "is a key misspelled?")
        return None
    name = pairs[kind][1]
    if not isinstance(name, yaml.ScalarNode) or not name.value.strip():
        problems.error(place, f"the {kind} has no name", f"write '- {kind}: name'")
        return None
    item = Item(kind, name.value, _place(name, document), document)
    for key, (key_place, value) in pairs.items():
        if key not in KEYS[kind]:
            problems.warn(key_place, f"unknown key {key!r} in {kind} {item.name!r} is ignored")
        elif not _is_null(value) or key == "items":
            item.nodes[key] = value
            item.places[key] = key_place
    return item


def _pairs(node: Any, document: Document, problems: Problems) -> dict[str, tuple[Place, Any]]:
    pairs: dict[str, tuple[Place, Any]] = {}
    for key, value in node.value:
        place = _place(key, document)
        if not isinstance(key, yaml.ScalarNode):
            problems.error(place, "keys must be words")
        elif key.value in pairs:
            problems.error(place, f"key {key.value!r} stands twice in one item", "remove one of them")
        else:
            pairs[key.value] = (place, value)
    return pairs


def _place(node: Any, document: Document) -> Place:
    return Place(document.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _is_null(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
