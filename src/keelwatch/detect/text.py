"""Text of a rule file that still knows where each of its characters stands in the file.

A condition is a YAML scalar: folded, quoted or indented. What the parser sees is the value; what
the author sees is the file. `Text.place` goes back from the one to the other.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keelwatch.detect.errors import Place

LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
BLANK = " \t\r\n\x85\u2028\u2029"
BLANK_ESCAPES = tuple(" \tntrNLP\r\n")
"""What follows a backslash in double quotes to stand for a blank, or for none at a line's end."""
ESCAPE_LENGTHS = {"x": 4, "u": 6, "U": 10}


class Document:
    """The characters of one rule file."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins."""
        return [0, *(found.end() for found in LINE_BREAK.finditer(self.text))]

    def offset(self, line: int, column: int) -> int:
        """The offset of a position that counts from 0, as YAML marks do."""
        return self.starts[min(line, len(self.starts) - 1)] + column

    def place(self, offset: int) -> Place:
        """The position of a character of the file."""
        line = bisect_right(self.starts, offset) - 1
        return Place(self.file, line + 1, offset - self.starts[line] + 1)


@dataclass(frozen=True, slots=True)
class Piece:
    """One YAML scalar: its value, and the part of the document that it was written as."""

    value: str
    document: Document
    start: int
    end: int
    style: str

    def place(self, offset: int) -> Place:
        """Where the character `offset` of the value stands in the file."""
        raw = self.document.text[self.start : self.end]
        offsets = align(raw, self.value, self.style)
        return self.document.place(self.start + offsets[min(offset, len(offsets) - 1)])


@dataclass(frozen=True, slots=True)
class Text:
    """One or more scalars joined by blanks, as `append` joins conditions."""

    pieces: tuple[Piece, ...]

    @property
    def value(self) -> str:
        """What the scalars say."""
        return " ".join(piece.value for piece in self.pieces)

    def place(self, offset: int = 0) -> Place:
        """Where the character `offset` of the value stands."""
        at = 0
        for piece in self.pieces[:-1]:
            if offset <= at + len(piece.value):
                return piece.place(offset - at)
            at += len(piece.value) + 1
        return self.pieces[-1].place(offset - at)

    def __add__(self, other: Text) -> Text:
        return Text(self.pieces + other.pieces)


def text_of(node: Any, document: Document) -> Text:
    """The text of a YAML scalar node."""
    start = document.offset(node.start_mark.line, node.start_mark.column)
    end = document.offset(node.end_mark.line, node.end_mark.column)
    return Text((Piece(node.value, document, start, end, node.style or ""),))


def align(raw: str, value: str, style: str) -> list[int]:
    """For each character of `value` (and for its end) the offset in `raw` that it came from.

    Blanks fold in several ways, other characters keep their order; so only those are matched.
    """
    at = _body(raw, style)
    offsets = []
    for character in value:
        if character not in BLANK:
            while blank := _blank_width(raw, at, style):
                at += blank
        offsets.append(min(at, max(len(raw) - 1, 0)))
        if character not in BLANK:
            at += _width(raw, at, style)
    offsets.append(min(at, len(raw)))
    return offsets


def _body(raw: str, style: str) -> int:
    """Where the content begins: behind the quote, or behind the header line of a block."""
    if style in ("|", ">"):
        found = LINE_BREAK.search(raw)
        return found.end() if found else len(raw)
    return 1 if style in ("'", '"') else 0


def _blank_width(raw: str, at: int, style: str) -> int:
    """How many characters of the file make up the blank at `at`; 0 when none stands there."""
    if style == '"' and raw[at : at + 1] == "\\" and raw[at + 1 : at + 2] in BLANK_ESCAPES:
        return len("\\n")
    return int(raw[at : at + 1] in BLANK and at < len(raw))


def _width(raw: str, at: int, style: str) -> int:
    """How many characters of the file make up the one at `at`."""
    if style == "'" and raw[at : at + 2] == "''":
        return 2
    if style == '"' and raw[at : at + 1] == "\\":
        return ESCAPE_LENGTHS.get(raw[at + 1 : at + 2], 2)
    return 1
