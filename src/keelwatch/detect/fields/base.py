"""What a field is: its name, type, meaning, and how it is read from an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

from keelwatch.model.audit import AuditEvent
from keelwatch.model.event import Event

FieldValue: TypeAlias = str | int | bool | tuple[str, ...] | None
"""`None` (and the empty tuple) is an event without this field."""
Constant: TypeAlias = str | int | bool
Reader: TypeAlias = Callable[[Any, Any], FieldValue]
"""Takes an event (model.event.Event, or AuditEvent for fields of that source) and the argument."""


SYSCALL = frozenset({"syscall"})


class Type(Enum):
    """The type of a field's values.

    STRINGS: several, and a test passes when any of them does. LIST: several, and the operator says
    how many must pass: `in` all, `intersects` one.
    """

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    STRINGS = "strings"
    LIST = "list"


class Takes(Enum):
    """What may stand in brackets behind a field's name."""

    NOTHING = ""
    INDEX = "[n]"
    KEY = "[key]"


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of the rule language.

    It is read as `attribute` (a dotted path from the event; an empty string is a missing value) or
    by `read(event, argument)`; with neither it is known but not supplied, and `missing` says why.
    `sources` are the event sources whose rules may test it (a rule's `source`).
    `kinds` are the event kinds that can have it (None: all). `column` is the column of the events
    table with the same value, `kernel` whether the sensor could test it.
    """

    name: str
    type: Type
    doc: str
    attribute: str = ""
    read: Reader | None = None
    column: str | None = None
    kernel: bool = False
    kinds: frozenset[str] | None = None
    special: frozenset[str] = frozenset()
    takes: Takes = Takes.NOTHING
    optional: bool = False  # the argument may be left out
    missing: str = ""
    caveat: str = ""  # what a rule's author should be told
    sources: frozenset[str] = SYSCALL

    @property
    def supplied(self) -> bool:
        """Whether any event has it."""
        return bool(self.attribute) or self.read is not None

    def value(self, event: Event | AuditEvent, argument: int | str | None = None) -> FieldValue:
        """Read the field from an event."""
        if self.kinds is not None and event.kind not in self.kinds:
            return None
        if self.read is not None and (not self.attribute or event.kind in self.special):
            found = self.read(event, argument)
            return None if found == () else found
        if not self.attribute:
            return None
        plain: FieldValue = attrgetter(self.attribute)(event)
        return None if plain == "" else plain


@cache
def variant(field: Field, kind: str) -> Field:
    """The same field with only the way of reading that serves this kind of event."""
    if not field.attribute or field.read is None:
        return field
    return replace(field, attribute="") if kind in field.special else replace(field, read=None)


def kinds(*names: str) -> frozenset[str]:
    """Event kinds, as a field names them."""
    return frozenset(names)


def unsupplied(reason: str, fields: Iterable[tuple[str, Type, str]]) -> tuple[Field, ...]:
    """Fields that the language knows and no event has yet."""
    return tuple(Field(name, kind, doc, missing=reason) for name, kind, doc in fields)
