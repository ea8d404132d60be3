"""What is left of a condition once the kind of event is known.

Tests on fields that this kind never has are false, tests on its type may be known. A rule whose
condition folds to NEVER for a kind costs that kind nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from keelwatch.detect import ast
from keelwatch.detect.ast import ALWAYS, NEVER
from keelwatch.detect.fields import TYPES, FieldValue
from keelwatch.detect.operators import passes


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
    return ast.both(list(left)) if decides is NEVER else ast.either(list(left))


def _test(test: ast.Test, kind: str) -> ast.Node:
    field = test.field
    if not field.supplied or (field.kinds is not None and kind not in field.kinds):
        return NEVER
    if test.operator in ("in", "intersects", "pmatch") and not test.constants:
        return NEVER
    if field.name == "kw.kind":
        return _known((kind,), test)
    if field.name == "evt.type":
        return _known(TYPES[kind], test)
    return test


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


def kinds_of(node: ast.Node) -> frozenset[str]:
    """The kinds of event that the condition could be true for."""
    return frozenset(kind for kind in TYPES if specialize(node, kind) != NEVER)
