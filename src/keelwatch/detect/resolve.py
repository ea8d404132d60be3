"""Names → what they stand for: lists are expanded, fields looked up, values typed, macros put in.

Each macro is resolved once, so a mistake in it is reported once, where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable

from keelwatch.detect import ast
from keelwatch.detect.definitions import Definition, Definitions
from keelwatch.detect.errors import Place, Problems, closest, similar
from keelwatch.detect.exceptions import rows_of
from keelwatch.detect.fields import FIELDS, SOURCES, Constant, Field, Takes, Type
from keelwatch.detect.lexer import SyntaxFault, unescape
from keelwatch.detect.operators import BYTES, EACH, LISTS, NUMERIC, TEXTUAL
from keelwatch.detect.parser import parse
from keelwatch.detect.text import Text

MAX_NODES = 50_000
"""Checks in one condition after its macros are put in."""
MAX_DEPTH = 56
"""Levels of `and`, `or`, `not` inside one another after macros are put in. (Python reads 200 parentheses.)"""
MAX_CHAIN = 30
"""Macros or lists inside one another."""
MAX_VALUES = 200_000
"""Values in one list after the lists in it are put in."""
AUDIT_FAMILIES = frozenset({"ka", "jevt", "json"})
"""First parts of names of fields that only audit events have."""
PLUGIN_FAMILIES = frozenset({"ct", "gcp", "okta", "github", "aws"})
"""First parts of field names that belong to sources which are not there."""
INTEGER_BOUND = 1 << 63
MAX_INDEX = 100
FEW_VALUES = 4
"""More values than this in one check are values, and none of them the name of a list."""
SHORTEST_NAME = 4
LIKE_A_NAME = 0.8
"""How like a list's name a word is that was perhaps meant to be it (difflib's ratio)."""
QUOTES = ("'", '"')


class Resolver:
    """Turns the conditions of one set of definitions into trees of tests."""

    def __init__(self, known: Definitions, problems: Problems) -> None:
        self._known = known
        self._problems = problems
        self._lists: dict[str, tuple[str, ...]] = {}
        self._source = "syscall"  # of the condition that is being resolved
        self._macros: dict[tuple[str, str], ast.Node | None] = {}
        self._spoken: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._open: list[str] = []  # names being resolved, to notice circles

    def check_all(self) -> None:
        """Resolve also what no rule uses, so that its mistakes are reported too."""
        for name in self._known.list:
            self._list(name)
        for name in self._known.macro:
            self._source = self._source_of(name)
            if self._source in SOURCES:
                self._macro(name)

    def _source_of(self, name: str) -> str:
        """Which source a macro is about: its fields tell, it need not say. "" for one that is not here."""
        waiting, seen = [name], {name}
        while waiting:
            families, names = self._words(waiting.pop())
            if families & PLUGIN_FAMILIES:
                return ""
            if families & AUDIT_FAMILIES:
                return "k8s_audit"
            waiting += names - seen
            seen |= names
        return self._known.macro[name].source

    def _words(self, name: str) -> tuple[frozenset[str], frozenset[str]]:
        """The families of the fields that a macro tests, and the macros that it refers to."""
        if name not in self._spoken:
            self._spoken[name] = _words_of(self._known.macro.get(name))
        return self._spoken[name]

    def condition(self, rule: Definition) -> ast.Node | None:
        """The tree of a rule's condition; None when it has mistakes (which are noted)."""
        self._source = rule.source
        tree = self._tree(rule)
        rows = [row for one in rule.exceptions for row in rows_of(one, self._problems)]
        excluded = [self._row(row) for row in rows]
        sound = [row for row in excluded if row is not None]
        if tree is None or len(sound) < len(excluded):
            return None
        return ast.both([tree, ast.negate(ast.either(sound))]) if sound else tree

    def _row(self, row: list[tuple[ast.Check, Text]]) -> ast.Node | None:
        """The conjunction of a row of an exception; None where it has mistakes."""
        found = [self._test(check, text) for check, text in row]
        sound = [test for test in found if test is not None]
        return ast.both(sound) if sound and len(sound) == len(found) else None

    def _tree(self, definition: Definition) -> ast.Node | None:
        text = definition.condition
        if text is None:
            return None
        try:
            parsed = parse(text.value)
        except SyntaxFault as fault:
            self._problems.error(text.place(fault.at), fault.message, fault.hint)
            return None
        try:
            resolved = self._node(parsed, text)
        except RecursionError:  # parentheses and macros, each within its limit, nested together
            self._problems.error(
                text.place(), "the condition and its macros are nested too deeply", "make it simpler"
            )
            return None
        return None if resolved is None else self._bounded(resolved, text)

    def _bounded(self, node: ast.Node, text: Text) -> ast.Node | None:
        nodes, depth = measure(node)
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            what = f"{nodes} checks" if nodes > MAX_NODES else f"{depth} levels"
            self._problems.error(text.place(), f"with its macros the condition has {what}", "make it simpler")
            return None
        return node

    def _node(self, node: ast.Node, text: Text) -> ast.Node | None:
        match node:
            case ast.Not(item):
                inner = self._node(item, text)
                return None if inner is None else ast.negate(inner)
            case ast.And(items):
                found = self._nodes(items, text)
                return None if found is None else ast.both(found)
            case ast.Or(items):
                found = self._nodes(items, text)
                return None if found is None else ast.either(found)
            case ast.Reference(name, at):
                return self._reference(name, text.place(at))
            case ast.Check():
                return self._test(node, text)
        return node

    def _nodes(self, items: Iterable[ast.Node], text: Text) -> list[ast.Node] | None:
        """Resolve all, even behind a mistake, so that every mistake is found."""
        found = [self._node(item, text) for item in items]
        sound = [item for item in found if item is not None]
        return sound if len(sound) == len(found) else None

    def _reference(self, name: str, place: Place) -> ast.Node | None:
        if name not in self._known.macro:
            hint = (
                similar(name, self._known.macro) or "a field has a dot in its name; a macro must be defined"
            )
            self._problems.error(place, f"unknown macro {name!r}", hint)
            return None
        if name in self._open:
            circle = " → ".join((*self._open[self._open.index(name) :], name))
            self._problems.error(place, f"macros refer to one another in a circle: {circle}")
            return None
        if len(self._open) >= MAX_CHAIN:
            self._problems.error(place, f"more than {MAX_CHAIN} macros inside one another", "make it simpler")
            return None
        return self._macro(name)

    def _macro(self, name: str) -> ast.Node | None:
        key = (self._source, name)
        if key not in self._macros:
            self._open.append(name)
            self._macros[key] = self._tree(self._known.macro[name])
            self._open.pop()
        return self._macros[key]

    def _test(self, check: ast.Check, text: Text) -> ast.Node | None:
        field = FIELDS.get(check.name)
        if field is None:
            field = self._argument_field(check)
        if field is None:
            hint = similar(check.name, FIELDS) or "docs/reference/fields.md lists the fields"
            self._problems.error(text.place(check.at), f"unknown field {check.name!r}", hint)
            return None
        if self._source not in field.sources:
            what = f"{check.name!r} is a field of the source {' or '.join(sorted(field.sources))}"
            hint = f"give the rule `source: {min(field.sources)}`, or use a field of {self._source}"
            self._problems.error(text.place(check.at), f"{what}, but this is about {self._source}", hint)
            return None
        try:
            argument = read_argument(field, check.argument)
            check_operator(field, check.operator)
        except ValueError as error:
            self._problems.error(text.place(check.at), str(error))
            return None
        constants = self._constants(field, check, text)
        operator = EACH if field.type is Type.LIST and check.operator == "in" else check.operator
        return None if constants is None else ast.Test(field, argument, operator, constants)

    @staticmethod
    def _argument_field(check: ast.Check) -> Field | None:
        """Arguments of events that are not observed: known to the language, absent here."""
        if not check.name.startswith("evt.arg."):
            return None
        reason = "no event that is observed has this argument"
        return Field(check.name, Type.STRING, "", missing=reason, sources=frozenset(SOURCES))

    def _constants(self, field: Field, check: ast.Check, text: Text) -> tuple[Constant, ...] | None:
        found: list[Constant] = []
        sound = True
        for value in check.values:
            for written in self._expand(value, check.operator):
                try:
                    found.append(constant(field, written, check.operator))
                except ValueError as error:
                    self._problems.error(text.place(value.at), str(error))
                    sound = False
        if check.operator in LISTS and len(check.values) <= FEW_VALUES:
            for value in check.values:
                self._doubt_list(value, text)
        return tuple(dict.fromkeys(found)) if sound else None

    def _expand(self, value: ast.Value, operator: str) -> tuple[str, ...]:
        if value.bare and operator in LISTS and value.text in self._known.list:
            return self._list(value.text)
        return (value.text,)

    def _doubt_list(self, value: ast.Value, text: Text) -> None:
        """Say so when a word was perhaps meant to name a list: a wrong name is a value like any other."""
        if not value.bare or value.text in self._known.list:
            return
        alone = not text.value[: value.at].rstrip().endswith(("(", ","))  # `in shells`, without parentheses
        meant = list_meant(value.text, self._known.list)
        if alone or meant:
            hint = f"did you mean {meant}?" if meant else "a value stands in parentheses"
            self._problems.warn(text.place(value.at), f"no list {value.text!r}", hint)

    def _list(self, name: str) -> tuple[str, ...]:
        if name in self._lists:
            return self._lists[name]
        definition = self._known.list[name]
        self._lists[name] = ()  # what a circle finds
        self._open.append(f"list {name}")
        values: list[str] = []
        for item in definition.items:
            values.extend(self._item(item, definition))
        self._open.pop()
        if len(values) > MAX_VALUES:
            self._problems.error(
                definition.place, f"list {name!r} has {len(values)} values", f"limit {MAX_VALUES}"
            )
            values = []
        self._lists[name] = tuple(dict.fromkeys(values))
        return self._lists[name]

    def _item(self, item: Text, definition: Definition) -> tuple[str, ...]:
        written = item.value
        if len(written) > 1 and written[0] in QUOTES and written[-1] == written[0]:
            return (unescape(written[1:-1]),)
        if written not in self._known.list:
            return (written,)
        if len(self._open) >= MAX_CHAIN:
            self._problems.error(item.place(), f"more than {MAX_CHAIN} lists inside one another")
            return ()
        if f"list {written}" in self._open:
            self._problems.error(
                item.place(), f"list {definition.name!r} contains itself by way of {written!r}"
            )
            return ()
        return self._list(written)


def _words_of(macro: Definition | None) -> tuple[frozenset[str], frozenset[str]]:
    try:
        nodes = list(ast.walk(parse(macro.condition.value))) if macro and macro.condition else []
    except SyntaxFault:
        nodes = []
    families = frozenset(node.name.split(".")[0] for node in nodes if isinstance(node, ast.Check))
    return families, frozenset(node.name for node in nodes if isinstance(node, ast.Reference))


def measure(node: ast.Node) -> tuple[int, int]:
    """How many nodes a tree has, and how deep it is. Shared parts count each time."""
    sizes = [measure(child) for child in ast.children(node)]
    return 1 + sum(n for n, _ in sizes), 1 + max((d for _, d in sizes), default=0)


def read_argument(field: Field, written: str | None) -> ast.Argument:
    """The argument as the field wants it; ValueError says what is wrong with it."""
    if written is None:
        if field.takes is not Takes.NOTHING and not field.optional:
            raise ValueError(f"{field.name} needs an argument, as {field.name}{field.takes.value}")
        return None
    if field.takes is Takes.NOTHING:
        raise ValueError(f"{field.name} takes no argument")
    if field.takes is Takes.KEY:
        return written
    if (
        not (written.isascii() and written.isdigit())
        or int(written[:9]) > MAX_INDEX
        or len(written) > len("100")
    ):
        raise ValueError(f"{field.name}[{written}]: the index must be a number from 0 to {MAX_INDEX}")
    return int(written)


def check_operator(field: Field, operator: str) -> None:
    """Raise ValueError when the operator makes no sense for the field's type."""
    if field.type is Type.LIST and operator not in ("in", "intersects", "exists"):
        raise ValueError(
            f"{field.name} is a list: '{operator}' cannot test it; "
            "use in (each value), intersects (one of them) or exists"
        )
    textual = field.type in (Type.STRING, Type.STRINGS)
    if operator in NUMERIC and field.type is not Type.NUMBER:
        raise ValueError(f"'{operator}' compares numbers, but {field.name} is a {field.type.value}")
    if operator in TEXTUAL | BYTES and not textual:
        raise ValueError(f"'{operator}' looks at text, but {field.name} is a {field.type.value}")


def constant(field: Field, written: str, operator: str) -> Constant:
    """The value in the field's type; ValueError says what is wrong with it."""
    if operator in BYTES:
        return _hex(written)
    if field.type is Type.NUMBER:
        return _number(field, written)
    if field.type is Type.BOOL:
        if written not in ("true", "false"):
            raise ValueError(f"{field.name} is true or false, not {written!r}")
        return written == "true"
    return written


def list_meant(word: str, lists: Iterable[str]) -> str:
    """The list whose name the word nearly is, or whose name begins so; "" when it looks like a value.

    Programs are often called nearly like a list (sshd, python3), but hardly in the plural.
    """
    if not word.isidentifier() or len(word) < SHORTEST_NAME:
        return ""
    for name in lists:
        names = {name, name.split("_")[0]} if word.endswith("s") else {name}
        if closest(word, names, LIKE_A_NAME):
            return name
    return ""


def _number(field: Field, written: str) -> int:
    try:
        value = int(written, 16) if written[:2] in ("0x", "0X") else int(written[:32], 10)
    except ValueError:
        raise ValueError(f"{field.name} is a number, not {written!r}") from None
    if abs(value) >= INTEGER_BOUND or len(written) > 32:  # far above 64 bits in any base
        raise ValueError(f"{written[:32]!r} does not fit in 64 bits")
    return value


def _hex(written: str) -> str:
    try:
        bytes.fromhex(written)
    except ValueError:
        raise ValueError(f"{written!r} is not a string of hex digits") from None
    return written
