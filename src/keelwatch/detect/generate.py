"""A test → a Python expression. Constants are written as literals only, so text stays text.

A field that is one attribute of the event is read in place; any other is read once, when the
expression first needs it, and kept in a local variable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from keelwatch.detect import ast
from keelwatch.detect.fields import Constant, Field, Type
from keelwatch.detect.operators import BYTES, EACH, glob_pattern, passes, roots_of

UNREAD: Any = object()
"""What a local variable holds until its field has been read."""
SHORTCUTS = {"process.": "p.", "identity.": "i."}
WORTH_KEEPING = 15
"""Cost from which the outcome of a part that stands in several places is kept."""
PLAIN = ("=", "!=", "<", "<=", ">", ">=")


class Expressions:
    """Makes the expressions of one function; `names` are the objects that they refer to."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"U": UNREAD, "passes": passes}
        self.locals: dict[tuple[str, ast.Argument], str] = {}
        self.outcomes: dict[ast.Node, str] = {}
        self._shared: set[ast.Node] = set()
        self._known: dict[tuple[str, Any], str] = {}

    def share(self, conditions: Iterable[ast.Node]) -> None:
        """Note which parts stand in several places and are worth keeping the outcome of."""
        seen = Counter(part for condition in conditions for part in ast.walk(condition))
        self._shared = {part for part, times in seen.items() if times > 1 and cost(part) >= WORTH_KEEPING}

    def of(self, node: ast.Node) -> str:
        """The expression of a condition; true or false in Python's sense."""
        if node not in self._shared:
            return self._plain(node)
        name = self.outcomes.setdefault(node, f"b{len(self.outcomes)}")
        return f"{name} if {name} is not U else ({name} := {self._plain(node)})"

    def _plain(self, node: ast.Node) -> str:
        match node:
            case ast.Truth(value):
                return repr(value)
            case ast.Not(item):
                return f"not {self._operand(item)}"
            case ast.And(items):
                return " and ".join(self._operand(item) for item in cheapest_first(items))
            case ast.Or(items):
                return " or ".join(self._operand(item) for item in cheapest_first(items))
            case ast.Test():
                return self._test(node)
        raise TypeError(f"not resolved: {node}")

    def _operand(self, node: ast.Node) -> str:
        return f"({self.of(node)})"

    def _test(self, test: ast.Test) -> str:
        if test.field.type in (Type.STRINGS, Type.LIST):
            return self._strings(test)
        if test.field.attribute:
            return self._of_attribute(test)
        first, again = self._variable(test.field, test.argument)
        if test.operator == "exists":
            return f"{first} is not None"
        if test.operator in ("=", "in", "intersects"):
            return self._compare(test, first)
        return f"{first} is not None and {self._compare(test, again)}"

    def _of_attribute(self, test: ast.Test) -> str:
        """The empty string stands for a missing value: no test on it may pass."""
        place = attribute(test.field)
        if test.field.type is not Type.STRING:
            return "True" if test.operator == "exists" else self._compare(test, place)
        if test.operator == "exists":
            return f"{place} != ''"
        if test.operator in ("in", "intersects"):
            some = tuple(constant for constant in test.constants if constant != "")
            return f"{place} in {members(some)}" if some else "False"
        if test.operator in ("=", "startswith", "endswith", "contains") and "" not in test.constants:
            return self._compare(test, place)
        return f"{place} != '' and {self._compare(test, place)}"

    def _compare(self, test: ast.Test, value: str) -> str:
        operator, constants = test.operator, test.constants
        if operator in PLAIN:
            return f"{value} {'==' if operator == '=' else operator} {literal(constants[0])}"
        if operator in ("in", "intersects"):
            return f"{value} in {members(constants)}"
        return self._textual(operator, constants, value)

    def _textual(self, operator: str, constants: tuple[Constant, ...], value: str) -> str:
        if operator in ("startswith", "endswith"):
            return f"{value}.{operator}({literals(constants)})"
        if operator == "contains":
            return f"{literal(constants[0])} in {value}"
        if operator == "icontains":
            return f"{literal(str(constants[0]).lower())} in {value}.lower()"
        if operator in ("glob", "iglob"):
            matcher = self._named("g", glob_pattern(str(constants[0]), operator == "iglob").match)
            return f"{matcher}({value}) is not None"
        if operator == "pmatch":
            return f"({value} + '/').startswith({literals(roots_of(constants))})"
        if operator in BYTES:
            return f"passes({operator!r}, {value}, {literals(constants)})"
        raise ValueError(f"no code for operator {operator!r}")

    def _strings(self, test: ast.Test) -> str:
        first, again = self._variable(test.field, test.argument)
        if test.operator == "exists":
            return f"not not {first}"
        if test.operator == EACH:
            wanted = self._named("s", frozenset(test.constants))
            return f"not not {first} and {wanted}.issuperset({again})"
        plain = test.argument is None or test.field.type is Type.LIST
        if plain and test.operator in ("=", "in", "intersects"):
            wanted = self._named("s", frozenset(test.constants))
            return f"not {wanted}.isdisjoint({first} or ())"
        return f"passes({test.operator!r}, {first}, {literals(test.constants)})"

    def _variable(self, field: Field, argument: ast.Argument) -> tuple[str, str]:
        """(the expression that reads the field at first use, the variable that holds it then)."""
        key = (field.name, argument)
        if key not in self.locals:
            self.locals[key] = f"v{len(self.locals)}"
        name = self.locals[key]
        reader = self._named("r", field.read)
        return f"({name} if {name} is not U else ({name} := {reader}(e, {argument!a})))", name

    def _named(self, prefix: str, thing: Any) -> str:
        """The name by which the expressions refer to an object."""
        name = self._known.setdefault((prefix, thing), f"{prefix}{len(self._known)}")
        self.names[name] = thing
        return name


def attribute(field: Field) -> str:
    """The expression that reads a field which is one attribute of the event."""
    for long, short in SHORTCUTS.items():
        if field.attribute.startswith(long):
            return short + field.attribute.removeprefix(long)
    return f"e.{field.attribute}"


def literal(constant: Constant) -> str:
    """A Python literal in ASCII."""
    return ascii(constant)


def literals(constants: tuple[Constant, ...]) -> str:
    """A tuple of literals."""
    return "(" + "".join(f"{literal(constant)}, " for constant in constants) + ")"


def members(constants: tuple[Constant, ...]) -> str:
    """A set of literals, which Python turns into a constant frozenset."""
    if not constants:
        return "()"
    return "{" + ", ".join(sorted(literal(constant) for constant in constants)) + "}"


def cheapest_first(items: tuple[ast.Node, ...]) -> list[ast.Node]:
    """The same items, those that cost least first: their order has no effect on the outcome."""
    return sorted(items, key=cost)


def cost(node: ast.Node) -> int:
    """About how long a test takes, in tens of nanoseconds."""
    if isinstance(node, ast.Test):
        return _read_cost(node.field) + _operator_cost(node)
    return sum(cost(child) for child in ast.children(node)) + 1


def _read_cost(field: Field) -> int:
    if field.type in (Type.STRINGS, Type.LIST):
        return 50
    return 1 if field.attribute else 8


def _operator_cost(test: ast.Test) -> int:
    return {"glob": 20, "iglob": 20, "pmatch": 10 + len(test.constants), "icontains": 10}.get(
        test.operator, 2
    )
