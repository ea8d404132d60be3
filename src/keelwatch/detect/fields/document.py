"""The page docs/reference/fields.md, made from the tables.

`python -m keelwatch.detect.fields.document > docs/reference/fields.md` writes it.
"""

from __future__ import annotations

import sys

from keelwatch.detect.fields import FAMILIES, TYPES, Field

HEAD = """# Fields

Made from the tables in `src/keelwatch/detect/fields/`; do not edit.
(`python -m keelwatch.detect.fields.document > docs/reference/fields.md`)

A field that an event does not have makes every test on it false, `!=` included. A field of type *strings*
has several values, and a test passes when any of them does. *Column* is the column of the `events` table
with the same value; *kernel* marks what the sensor itself could test. *Kinds* are the kinds of event that
can have the field, where not all can.

## Kinds of event and their types (`evt.type`)

| kind | types |
|---|---|
"""


def render() -> str:
    """The page."""
    lines = [f"| {kind} | {', '.join(types)} |" for kind, types in TYPES.items()]
    parts = [HEAD + "\n".join(lines) + "\n"]
    parts += [_family(name, fields) for name, fields in FAMILIES.items()]
    return "\n".join(parts)


def _family(name: str, fields: tuple[Field, ...]) -> str:
    supplied = [_row(field) for field in fields if field.supplied]
    head = f"## {name}\n\n| field | type | meaning | kinds | column | kernel |\n|---|---|---|---|---|---|\n"
    text = head + "\n".join(supplied) + "\n"
    absent: dict[str, list[str]] = {}
    for field in fields:
        if not field.supplied:
            absent.setdefault(field.missing, []).append(f"`{field.name}{field.takes.value}`")
    for why, names in absent.items():
        text += f"\nKnown, and never there ({why}): {', '.join(names)}.\n"
    return text


def _row(field: Field) -> str:
    takes = f"{field.takes.value}" if not field.optional else f"({field.takes.value})"
    kinds = ", ".join(sorted(field.kinds)) if field.kinds else ""
    name = f"`{field.name}{takes}`" if field.takes.value else f"`{field.name}`"
    column = f"`{field.column}`" if field.column else ""
    doc = field.doc.replace("|", "\\|")
    return f"| {name} | {field.type.value} | {doc} | {kinds} | {column} | {'yes' if field.kernel else ''} |"


if __name__ == "__main__":
    sys.stdout.write(render())
