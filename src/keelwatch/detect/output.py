"""Output templates: `Program %proc.name ran %proc.cmdline` → text, for an event."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keelwatch.detect.errors import Problems, similar
from keelwatch.detect.fields import FIELDS, SOURCES, Field, FieldValue, Type
from keelwatch.detect.resolve import read_argument
from keelwatch.detect.text import Text
from keelwatch.model.audit import AuditEvent
from keelwatch.model.event import Event

MISSING = "<NA>"
PLACEHOLDER = re.compile(r"%([a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)+)?(?:\[([^\]]*)\])?")
MAX_VALUE = 4096
"""Characters of one value in an output; the whole value is in the record."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a field's value goes."""

    field: Field
    argument: int | str | None

    def fill(self, event: Event | AuditEvent) -> str:
        """The value as text."""
        value = self.field.value(event, self.argument)
        if isinstance(value, tuple) and "k8s_audit" in self.field.sources:
            value = f"({','.join(value)})"
        return show(value)


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts and slots in turn."""

    parts: tuple[str | Slot, ...]

    def format(self, event: Event | AuditEvent) -> str:
        """The output for an event."""
        return "".join(part if isinstance(part, str) else part.fill(event) for part in self.parts)

    @property
    def fields(self) -> list[Field]:
        """The fields that the template shows."""
        return [part.field for part in self.parts if isinstance(part, Slot)]


def show(value: FieldValue) -> str:
    """A field's value as outputs show it: one line, whatever it holds."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "<".join(value) if isinstance(value, tuple) else str(value)
    if len(text) > MAX_VALUE:
        text = text[:MAX_VALUE] + "…"
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def parse_template(text: Text, problems: Problems, source: str = "syscall") -> Template:
    """The template of an output; unknown fields are noted with their place.

    A `*` in front (Falco: give the output even if fields are missing) changes nothing here.
    """
    written = text.value
    parts: list[str | Slot] = []
    at = 0
    for found in PLACEHOLDER.finditer(written):
        before = written[at : found.start()]
        parts.append(before.removesuffix("*"))
        at = found.end()
        slot = _slot(found, text, problems, source)
        if slot is not None:
            parts.append(slot)
    parts.append(written[at:])
    if parts and isinstance(parts[0], str):
        parts[0] = parts[0].removeprefix("*")
    if isinstance(parts[-1], str):
        parts[-1] = parts[-1].rstrip("\n")
    return Template(tuple(part for part in parts if part != ""))


def _slot(found: re.Match[str], text: Text, problems: Problems, source: str) -> Slot | None:
    name, argument = found[1], found[2]
    place = text.place(found.start())
    if name is None:
        problems.error(
            place, "'%' is not followed by a field", "write %proc.name; an output cannot hold a plain '%'"
        )
        return None
    field = FIELDS.get(name) or _absent_argument(name)
    if field is None:
        problems.error(place, f"unknown field {name!r} in the output", similar(name, FIELDS))
        return None
    if source not in field.sources:
        problems.error(place, f"{name!r} in the output is no field of the source {source}")
        return None
    try:
        return Slot(field, read_argument(field, argument))
    except ValueError as error:
        problems.error(place, str(error))
        return None


def _absent_argument(name: str) -> Field | None:
    return Field(name, Type.STRING, "", sources=frozenset(SOURCES)) if name.startswith("evt.arg.") else None
