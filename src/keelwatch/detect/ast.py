"""The tree of a condition. Frozen: each pass makes a new one.

The parser makes `Check` and `Reference` leaves; `resolve` turns them into `Test` leaves, whose
field is known and whose values have its type; `specialize` may put `ALWAYS` and `NEVER` in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from keelwatch.detect.fields.base import Constant, Field

Argument: TypeAlias = int | str | None


@dataclass(frozen=True, slots=True)
class Value:
    """A value as written. A bare one in a list may be the name of another list."""

    text: str
    bare: bool
    at: int


@dataclass(frozen=True, slots=True)
class Check:
    """`name[argument] operator values`, not yet looked up. `at` is an offset in the condition."""

    name: str
    argument: str | None
    operator: str
    values: tuple[Value, ...]
    at: int
    operator_at: int


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of a macro."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Test:
    """A check whose field exists; `constants` have the field's type."""

    __test__ = False  # pytest would take the class for a test case

    field: Field
    argument: Argument
    operator: str
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True, slots=True)
class Truth:
    """A condition whose outcome is already known."""

    value: bool


@dataclass(frozen=True, slots=True)
class Not:
    """True where `item` is false."""

    item: Node


@dataclass(frozen=True, slots=True)
class And:
    """True where all items are."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True where any item is."""

    items: tuple[Node, ...]


Node: TypeAlias = Check | Reference | Test | Truth | Not | And | Or

ALWAYS = Truth(True)
NEVER = Truth(False)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below."""
    if isinstance(node, And | Or):
        return node.items
    return (node.item,) if isinstance(node, Not) else ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def both(items: list[Node]) -> Node:
    """The conjunction, flat: an `And` inside an `And` is one `And`."""
    flat: list[Node] = []
    for item in items:
        flat.extend(item.items if isinstance(item, And) else (item,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def either(items: list[Node]) -> Node:
    """The disjunction, flat."""
    flat: list[Node] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Or) else (item,))
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def negate(item: Node) -> Node:
    """The negation; two of them cancel each other."""
    return item.item if isinstance(item, Not) else Not(item)
