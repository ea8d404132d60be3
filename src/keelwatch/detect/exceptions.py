"""`exceptions` of a rule: named sets of values for which it does not fire.

    exceptions:
      - name: known_jobs
        fields: [proc.name, k8s.ns.name]      # or one field
        comps: [=, in]                        # "=" each; "in" for one field
        values:
          - [backup, [shop, billing]]         # of one field: the values themselves

The rule's condition becomes `condition and not (row or row …)`, a row being `field comp value and …`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import yaml

from keelwatch.detect import ast
from keelwatch.detect.errors import Place, Problems
from keelwatch.detect.lexer import SyntaxFault
from keelwatch.detect.load import Item
from keelwatch.detect.operators import LISTS, OPERATORS
from keelwatch.detect.parser import parse
from keelwatch.detect.text import Text, text_of

Row: TypeAlias = tuple[tuple[Text, ...], ...]
KEYS = frozenset({"name", "fields", "comps", "values"})
MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One exception. Each row has a group of values for each field."""

    name: str
    place: Place
    fields: tuple[Text, ...]
    comps: tuple[str, ...]
    rows: tuple[Row, ...] = ()


def read_exceptions(item: Item, problems: Problems) -> tuple[Exclusion, ...]:
    """The exceptions of a rule as written; what is wrong with them is noted."""
    node = item.nodes["exceptions"]
    if not isinstance(node, yaml.SequenceNode):
        problems.error(item.places["exceptions"], "exceptions must be a list", "begin each with '- name:'")
        return ()
    found = [_exclusion(child, item, problems) for child in node.value]
    return tuple(one for one in found if one is not None)


def joined(before: tuple[Exclusion, ...], more: tuple[Exclusion, ...]) -> tuple[Exclusion, ...]:
    """The exceptions with the rows of others added by name; those with new names are added whole."""
    known = {one.name: one for one in before}
    for one in more:
        old = known.get(one.name)
        known[one.name] = one if old is None else replace(old, rows=old.rows + one.rows)
    return tuple(known.values())


def rows_of(one: Exclusion, problems: Problems) -> list[list[tuple[ast.Check, Text]]]:
    """The checks of each row, each with the text that it was made of."""
    if not one.fields or len(one.comps) != len(one.fields):
        what = f"{len(one.fields)} fields and {len(one.comps)} comps"
        problems.error(one.place, f"exception {one.name!r} has {what}", "give one comp for each field")
        return []
    found = []
    for row in one.rows:
        if len(row) != len(one.fields):
            place = row[0][0].place() if row and row[0] else one.place
            problems.error(place, f"exception {one.name!r}: {len(row)} values for {len(one.fields)} fields")
            continue
        checks = [_check(*parts, problems) for parts in zip(one.fields, one.comps, row, strict=True)]
        found.append([check for check in checks if check is not None])
    return found


def _check(
    field: Text, comp: str, values: tuple[Text, ...], problems: Problems
) -> tuple[ast.Check, Text] | None:
    try:
        parsed = parse(f"{field.value} exists")
    except SyntaxFault as fault:
        problems.error(field.place(), f"not a field: {fault.message}")
        return None
    if not isinstance(parsed, ast.Check):
        problems.error(field.place(), f"{field.value!r} is not a field")
        return None
    if comp not in LISTS and len(values) > 1:
        problems.error(values[1].place(), f"'{comp}' takes one value", "use in for several")
        return None
    given = tuple(ast.Value(one.value, True, 0) for one in values)
    return replace(parsed, operator=comp, values=given), (values[0] if values else field)


def _exclusion(node: Any, item: Item, problems: Problems) -> Exclusion | None:
    place = Place(item.place.file, node.start_mark.line + 1, node.start_mark.column + 1)
    if not isinstance(node, yaml.MappingNode):
        problems.error(place, "an exception is a mapping", "write '- name:' and 'fields:'")
        return None
    parts = {str(key.value): value for key, value in node.value}
    if unknown := sorted(set(parts) - KEYS):
        problems.error(
            place, f"an exception has no {', '.join(unknown)}", f"one of {', '.join(sorted(KEYS))}"
        )
    name = parts.get("name")
    if not isinstance(name, yaml.ScalarNode):
        problems.error(place, "the exception has no name", "write '- name: known_jobs'")
        return None
    single = isinstance(parts.get("fields"), yaml.ScalarNode)
    fields = _group(parts.get("fields"), item)
    comps = tuple(OPERATORS.get(text.value, "") for text in _group(parts.get("comps"), item))
    if "" in comps:
        problems.error(place, f"exception {name.value!r} has an unknown operator in comps")
        return None
    usual = ("in",) if single else ("=",) * len(fields)
    return Exclusion(name.value, place, fields, comps or usual, _rows(parts, item, problems))


def _rows(parts: dict[str, Any], item: Item, problems: Problems) -> tuple[Row, ...]:
    node = parts.get("values")
    if node is None:
        return ()
    if not isinstance(node, yaml.SequenceNode) or len(node.value) > MAX_ROWS:
        problems.error(item.places["exceptions"], "the values of an exception must be a list")
        return ()
    if all(isinstance(child, yaml.ScalarNode) for child in node.value):
        return ((_group(node, item),),) if node.value else ()
    rows = (child.value for child in node.value if isinstance(child, yaml.SequenceNode))
    return tuple(tuple(_group(cell, item) for cell in row) for row in rows)


def _group(node: Any, item: Item) -> tuple[Text, ...]:
    """The texts of a scalar or of a list of scalars."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node] if node is not None else []
    return tuple(text_of(one, item.document) for one in nodes if isinstance(one, yaml.ScalarNode))
