"""The words of a condition. What a word is depends on where it stands, so the parser asks for one.

A bare string may hold `<` or `-`, a field name may not: there is no one stream of tokens.
"""

from __future__ import annotations

import re

from keelwatch.detect.ast import Value

BLANK = re.compile(r"[ \t\b\r\n]+")
FIELD = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)+")
IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
ARGUMENT = re.compile(r"""[^][\b\s"']+""")
NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
BARE = re.compile(r"""[^()"'\s\b=,]+""")
QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
SYMBOL_OPERATOR = re.compile(r"==|=|!=|<=|<|>=|>")
WORD = re.compile(r"[a-zA-Z_][\w.-]*")
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}


class SyntaxFault(Exception):  # noqa: N818  # never leaves this package; RuleError is what users get
    """The condition cannot be read on from `at`."""

    def __init__(self, at: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.message = message
        self.hint = hint


class Lexer:
    """A cursor over a condition."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def skip_blank(self) -> None:
        """Go to the next word."""
        if found := BLANK.match(self.text, self.at):
            self.at = found.end()

    def done(self) -> bool:
        """Whether nothing but blanks is left."""
        self.skip_blank()
        return self.at >= len(self.text)

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Read what the pattern describes, if it stands here."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def symbol(self, symbol: str) -> bool:
        """Read this punctuation mark, if it stands here."""
        self.skip_blank()
        if not self.text.startswith(symbol, self.at):
            return False
        self.at += len(symbol)
        return True

    def word(self, word: str) -> bool:
        """Read this word, if it stands here and ends here."""
        self.skip_blank()
        found = WORD.match(self.text, self.at)
        if found is None or found.group() != word:
            return False
        self.at = found.end()
        return True

    def any_word(self) -> str:
        """The word that stands here ("" where there is none), without reading it."""
        self.skip_blank()
        found = WORD.match(self.text, self.at)
        return found.group() if found else ""

    def value(self) -> Value | None:
        """Read a quoted or bare string."""
        self.skip_blank()
        at = self.at
        if self.text.startswith(("'", '"'), at):
            quoted = self.take(QUOTED)
            if quoted is None:
                raise SyntaxFault(at, "this string does not end", "close it with the same quote")
            return Value(unescape(quoted[1:-1]), False, at)
        bare = self.take(BARE)
        return None if bare is None else Value(bare, True, at)

    def rest(self) -> str:
        """A few characters from here, to show."""
        return self.text[self.at : self.at + 20].split("\n")[0]


def unescape(text: str) -> str:
    r"""Resolve `\"`, `\n` and the like; a backslash before anything else stands for itself."""
    return ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[0]), text)
