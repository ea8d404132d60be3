"""What the operators mean, in plain Python. The code generator is held to this by a property test.

A field that an event does not have makes every test on it false, `!=` included (Falco's rule); a
field with several values (`proc.aname`) passes when any of them does. A list (`ka.user.groups`) is
tested as a whole, by `in` (all of it), `intersects` (some of it) and `exists` only.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from functools import cache

from keelwatch.detect.fields.base import Constant, FieldValue

OPERATORS: dict[str, str] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "in": "in",
    "intersects": "intersects",
    "contains": "contains",
    "icontains": "icontains",
    "startswith": "startswith",
    "endswith": "endswith",
    "glob": "glob",
    "iglob": "iglob",
    "pmatch": "pmatch",
    "exists": "exists",
    "bcontains": "bcontains",
    "bstartswith": "bstartswith",
}
"""Every operator as written, and its one name in the tree."""

EACH = "within"
"""`in` of a field that is a list: each of its values, and at least one. It is not written so."""

UNARY = frozenset({"exists"})
NUMERIC = frozenset({"<", "<=", ">", ">="})
LISTS = frozenset({"in", "intersects", "pmatch"})
TEXTUAL = frozenset({"contains", "icontains", "startswith", "endswith", "glob", "iglob", "pmatch"})
BYTES = frozenset({"bcontains", "bstartswith"})
TRANSFORMERS = frozenset({"tolower", "toupper", "b64", "basename", "len", "val", "concat", "join", "getopt"})
UNSUPPORTED: dict[str, str] = {"regex": "use glob, contains, startswith or endswith"}
"""Operators of the language that are known but not built yet, and what to use instead."""


@cache
def glob_pattern(pattern: str, fold_case: bool = False) -> re.Pattern[str]:
    """The regular expression of a shell pattern; `*` crosses `/`, as fnmatch(3) without flags does."""
    return re.compile(fnmatch.translate(pattern), re.IGNORECASE if fold_case else 0)


def roots_of(constants: Sequence[Constant]) -> tuple[str, ...]:
    """The directories of a `pmatch`, each with one slash at its end."""
    return tuple(sorted({str(constant).rstrip("/") + "/" for constant in constants}))


def _raw(constant: Constant) -> str:
    return bytes.fromhex(str(constant)).decode("utf-8", "backslashreplace")


SINGLE: dict[str, Callable[[object, Sequence[Constant]], bool]] = {
    "=": lambda value, constants: value == constants[0],
    "!=": lambda value, constants: value != constants[0],
    "<": lambda value, constants: value < constants[0],  # type: ignore[operator]
    "<=": lambda value, constants: value <= constants[0],  # type: ignore[operator]
    ">": lambda value, constants: value > constants[0],  # type: ignore[operator]
    ">=": lambda value, constants: value >= constants[0],  # type: ignore[operator]
    "in": lambda value, constants: value in constants,
    "intersects": lambda value, constants: value in constants,
    "contains": lambda value, constants: str(constants[0]) in str(value),
    "icontains": lambda value, constants: str(constants[0]).lower() in str(value).lower(),
    "startswith": lambda value, constants: any(str(value).startswith(str(one)) for one in constants),
    "endswith": lambda value, constants: any(str(value).endswith(str(one)) for one in constants),
    "glob": lambda value, constants: glob_pattern(str(constants[0])).match(str(value)) is not None,
    "iglob": lambda value, constants: glob_pattern(str(constants[0]), True).match(str(value)) is not None,
    "pmatch": lambda value, constants: f"{value}/".startswith(roots_of(constants)),
    "exists": lambda _value, _constants: True,
    "bcontains": lambda value, constants: _raw(constants[0]) in str(value),
    "bstartswith": lambda value, constants: str(value).startswith(_raw(constants[0])),
}


def passes(operator: str, value: FieldValue, constants: Sequence[Constant]) -> bool:
    """Whether a field's value passes; `None` (and no values at all) never does."""
    if value is None:
        return False
    if operator == EACH:
        return isinstance(value, tuple) and value != () and all(one in constants for one in value)
    single = SINGLE[operator]
    if isinstance(value, tuple):
        return any(single(one, constants) for one in value)
    return single(value, constants)
