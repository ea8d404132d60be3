"""All escaping of values for SQL. Values of users go in as parameters, never as text of a statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = str | int | float | Sequence[str]
Parameters: TypeAlias = Mapping[str, Value]

_LITERAL = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"})
_FIELD = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"})


def literal(value: str) -> str:
    """Return a quoted SQL string. For values of ours (file names, spool ids), not of users."""
    return f"'{value.translate(_LITERAL)}'"


def parameter(value: Value) -> str:
    """Return the text of a query parameter: the engine reads it as a field of TSV (Escaped)."""
    if isinstance(value, str):
        return value.translate(_FIELD)
    if isinstance(value, int | float):
        return str(value)
    return f"[{', '.join(literal(item) for item in value)}]"  # elements are read as quoted strings


def parameters(values: Parameters) -> dict[str, str]:
    """Return all parameters as the engine's text."""
    return {name: parameter(value) for name, value in values.items()}
