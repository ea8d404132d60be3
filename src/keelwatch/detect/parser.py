"""Condition text → tree. The grammar is that of Falco's filters (docs/reference/rules.md).

or    = and ("or" and)*
and   = not ("and" not)*
not   = "not"* ( "(" or ")" | check | macro )
check = field operator value
"""

from __future__ import annotations

from typing import NoReturn

from keelwatch.detect import ast, lexer
from keelwatch.detect.errors import similar
from keelwatch.detect.lexer import Lexer, SyntaxFault
from keelwatch.detect.operators import LISTS, NUMERIC, OPERATORS, TRANSFORMERS, UNARY, UNSUPPORTED

MAX_CONDITION = 64 * 1024
"""Characters in one condition."""
MAX_DEPTH = 50
"""Parentheses inside one another."""


def parse(text: str) -> ast.Node:
    """Return the tree of a condition; raise SyntaxFault at the first place that makes no sense."""
    if len(text) > MAX_CONDITION:
        raise SyntaxFault(
            0, f"condition of {len(text)} characters", f"the limit is {MAX_CONDITION}; use macros"
        )
    if not text.strip():
        raise SyntaxFault(0, "the condition is empty")
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._lexer = Lexer(text)
        self._depth = 0

    def parse(self) -> ast.Node:
        node = self._or()
        if not self._lexer.done():
            self._fail("expected 'and', 'or' or the end of the condition")
        return node

    def _or(self) -> ast.Node:
        items = [self._and()]
        while self._lexer.word("or"):
            items.append(self._and())
        return ast.either(items)

    def _and(self) -> ast.Node:
        items = [self._not()]
        while self._lexer.word("and"):
            items.append(self._not())
        return ast.both(items)

    def _not(self) -> ast.Node:
        negated = False
        while self._lexer.word("not"):
            negated = not negated
        item = self._parenthesised() if self._lexer.symbol("(") else self._check()
        return ast.negate(item) if negated else item

    def _parenthesised(self) -> ast.Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxFault(self._lexer.at, f"more than {MAX_DEPTH} parentheses inside one another")
        node = self._or()
        if not self._lexer.symbol(")"):
            self._fail("expected ')', 'and' or 'or'")
        self._depth -= 1
        return node

    def _check(self) -> ast.Node:
        self._lexer.skip_blank()
        at = self._lexer.at
        name = self._lexer.take(lexer.FIELD)
        if name is not None:
            return self._condition(name, self._argument(), at)
        macro = self._lexer.take(lexer.IDENTIFIER)
        if macro is None:
            self._fail("expected a field, a macro or '('")
        if macro in TRANSFORMERS and self._lexer.symbol("("):
            raise SyntaxFault(
                at, f"the transformer {macro}() is not supported yet", "compare the field itself"
            )
        if macro in ("and", "or"):
            raise SyntaxFault(at, f"nothing stands before {macro!r}", "write a check on both sides")
        return ast.Reference(macro, at)

    def _argument(self) -> str | None:
        if not self._lexer.text.startswith("[", self._lexer.at):
            return None
        self._lexer.at += 1
        quoted = self._lexer.take(lexer.QUOTED)
        argument = lexer.unescape(quoted[1:-1]) if quoted else self._lexer.take(lexer.ARGUMENT)
        if argument is None:
            self._fail("expected a field argument behind '['")
        if not self._lexer.symbol("]"):
            self._fail("expected ']' behind the field argument")
        return argument

    def _condition(self, name: str, argument: str | None, at: int) -> ast.Check:
        operator, operator_at = self._operator(name)
        values: tuple[ast.Value, ...] = ()
        if operator in LISTS:
            values = self._list(operator)
        elif operator not in UNARY:
            values = (self._value(operator),)
        return ast.Check(name, argument, operator, values, at, operator_at)

    def _operator(self, name: str) -> tuple[str, int]:
        self._lexer.skip_blank()
        at = self._lexer.at
        found = self._lexer.take(lexer.SYMBOL_OPERATOR) or self._lexer.any_word()
        if found in UNSUPPORTED:
            raise SyntaxFault(at, f"the operator {found!r} is not supported yet", UNSUPPORTED[found])
        if found not in OPERATORS:
            meant = similar(found, OPERATORS) if found else ""
            self._fail(f"expected an operator behind {name}", meant or "one of " + " ".join(OPERATORS))
        if found.isalpha():
            self._lexer.at = at + len(found)
        return OPERATORS[found], at

    def _value(self, operator: str) -> ast.Value:
        self._lexer.skip_blank()
        at = self._lexer.at
        self._refuse_transformer()
        if operator in NUMERIC:
            number = self._lexer.take(lexer.NUMBER)
            if number is None:
                self._fail(f"expected a number behind '{operator}'")
            return ast.Value(number, True, at)
        value = self._lexer.value()
        if value is None:
            self._fail(f"expected a value behind '{operator}'", "quote values that hold blanks or ( ) , =")
        return value

    def _list(self, operator: str) -> tuple[ast.Value, ...]:
        self._lexer.skip_blank()
        at = self._lexer.at
        if not self._lexer.symbol("("):
            self._refuse_transformer()
            name = self._lexer.take(lexer.IDENTIFIER)
            if name is None:
                self._fail(f"expected a list in parentheses behind '{operator}'")
            return (ast.Value(name, True, at),)
        values: list[ast.Value] = []
        if self._lexer.symbol(")"):
            return ()
        while True:
            value = self._lexer.value()
            if value is None:
                self._fail("expected a value in the list")
            values.append(value)
            if self._lexer.symbol(")"):
                return tuple(values)
            if not self._lexer.symbol(","):
                self._fail("expected ',' or ')' in the list")

    def _refuse_transformer(self) -> None:
        word = self._lexer.any_word()
        at = self._lexer.at
        if word in TRANSFORMERS and self._lexer.text.startswith("(", at + len(word)):
            raise SyntaxFault(at, f"{word}() on the right side is not supported yet", "compare with a value")

    def _fail(self, message: str, hint: str = "") -> NoReturn:
        self._lexer.skip_blank()
        rest = self._lexer.rest()
        found = f"found {rest!r}" if rest else "the condition ends here"
        raise SyntaxFault(self._lexer.at, f"{message}, {found}", hint)
