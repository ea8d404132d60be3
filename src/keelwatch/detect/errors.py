"""What is wrong with a rule file: where, what, and what to do. Collected, so that all come at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a rule file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class RuleError:
    """A mistake, with its place and, where there is one, the way to mend it."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        tail = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{tail}"


@dataclass(frozen=True, slots=True, order=True)
class RuleWarning(RuleError):  # noqa: N818  # it has the shape of an error and is none
    """Something that loads but does not do what its author may think."""


class RuleErrors(Exception):  # noqa: N818  # the plural says that it carries all of them
    """Rules that cannot be loaded; `errors` are all mistakes of all files, in order of place."""

    def __init__(self, errors: Sequence[RuleError], warnings: Sequence[RuleWarning] = ()) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = list(errors)
        self.warnings = list(warnings)


def similar(name: str, known: Iterable[str]) -> str:
    """A hint naming the known word that is most like this one; "" when none is."""
    found = closest(name, known)
    return f"did you mean {found!r}?" if found else ""


def closest(name: str, known: Iterable[str], least: float = 0.6) -> str:
    """The known word that is most like this one, at least so much (difflib's ratio); "" when none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=least)), "")


@dataclass(slots=True)
class Problems:
    """Where the passes put what they find."""

    errors: list[RuleError] = field(default_factory=list)
    warnings: list[RuleWarning] = field(default_factory=list)

    def error(self, place: Place, message: str, hint: str = "") -> None:
        """Note a mistake, once."""
        found = RuleError(place.file, place.line, place.column, message, hint)
        if found not in self.errors:
            self.errors.append(found)

    def warn(self, place: Place, message: str, hint: str = "") -> None:
        """Note a doubt, once."""
        found = RuleWarning(place.file, place.line, place.column, message, hint)
        if found not in self.warnings:
            self.warnings.append(found)
