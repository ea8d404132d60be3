"""What is left of a condition once the kind of event is known.

Tests on fields that this kind never has are false, tests on its type may be known. A rule whose
condition folds to NEVER for a kind costs that kind nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from keelwatch.detect import ast
from keelwatch.detect.ast import ALWAYS, NEVER
from keelwatch.detect.fields import FIELDS, SOURCES, TYPES, FieldValue
from keelwatch.detect.fields.base import variant
from keelwatch.detect.operators import EACH, LISTS, passes

MERGED = {"=": "in", "in": "in", "startswith": "startswith", "endswith": "endswith", "pmatch": "pmatch"}
"""Operators of which several tests can be one, and the operator of that one."""
FULL_ID = FIELDS["container.full_id"]


def specialize(node: ast.Node, kind: str) -> ast.Node:
    """Return an equivalent condition for events of this kind."""
    match node:
        case ast.Test():
            return _test(node, kind)
        case ast.Not(item):
            inner = specialize(item, kind)
            return ast.Truth(not inner.value) if isinstance(inner, ast.Truth) else ast.negate(inner)
        case ast.And(items):
            return _fold((specialize(item, kind) for item in items), NEVER, ALWAYS)
        case ast.Or(items):
            return _fold((specialize(item, kind) for item in items), ALWAYS, NEVER)
    return node


def _fold(items: Iterable[ast.Node], decides: ast.Truth, neutral: ast.Truth) -> ast.Node:
    left: dict[ast.Node, None] = {}
    for item in items:
        if item == decides:
            return decides
        if item != neutral:
            left[item] = None
    if not left:
        return neutral
    return ast.both(list(left)) if decides is NEVER else _merged(list(left))


def _merged(items: list[ast.Node]) -> ast.Node:
    """A disjunction in which tests of one field by one operator are one test with more values."""
    groups: dict[object, list[ast.Test]] = {}
    others: list[ast.Node] = []
    flat = ast.either(items)
    for item in flat.items if isinstance(flat, ast.Or) else (flat,):
        if isinstance(item, ast.Test) and item.operator in MERGED:
            groups.setdefault((item.field, item.argument, MERGED[item.operator]), []).append(item)
        else:
            others.append(item)
    tests = [_union(group) for group in groups.values()]
    return ast.either([*tests, *others])


def _union(tests: list[ast.Test]) -> ast.Node:
    if len(tests) == 1:
        return tests[0]
    constants = tuple(dict.fromkeys(constant for test in tests for constant in test.constants))
    return replace(tests[0], operator=MERGED[tests[0].operator], constants=constants)


def _test(test: ast.Test, kind: str) -> ast.Node:
    field = test.field
    if not field.supplied or (field.kinds is not None and kind not in field.kinds):
        return NEVER
    if test.operator in (*LISTS, EACH) and not test.constants:
        return NEVER
    if field.name == "evt.num" and all(int(constant) <= 0 for constant in test.constants):
        return ast.Truth(passes(test.operator, 1, test.constants))  # numbers of events are above 0
    if field.name == "container.id" and test.constants == ("host",) and test.operator in ("=", "!="):
        inside = ast.Test(FULL_ID, None, "exists")
        return inside if test.operator == "!=" else ast.Not(inside)
    if field.name == "kw.kind":
        return _known((kind,), test)
    if field.name == "evt.type" and (folded := _known(TYPES[kind], test)) != test:
        return folded
    return replace(test, field=variant(field, kind))


def _known(possible: Iterable[FieldValue], test: ast.Test) -> ast.Node:
    """Fold when every value that is possible gives the same answer.

    An unknown spelling of a kind's call must not be lost, so with several possible values only the
    answer of a test by name (`=`, `in`) counts as known to be false.
    """
    values = list(possible)
    answers = {passes(test.operator, value, test.constants) for value in values}
    if len(answers) > 1:
        return test
    answer = answers.pop()
    if len(values) == 1 or (not answer and test.operator in ("=", "in", "intersects")):
        return ast.Truth(answer)
    return test


def kinds_of(node: ast.Node, source: str = "syscall") -> frozenset[str]:
    """The kinds of event of a source that the condition could be true for."""
    return frozenset(kind for kind in SOURCES[source] if specialize(node, kind) != NEVER)
