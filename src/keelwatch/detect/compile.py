"""Rules → one Python function per kind of event: `match(event) -> the rules that fire`.

Conditions are split at their outermost `and`; what several rules ask for stands in one `if` above
them, so an event that no rule wants is turned away after a few tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from keelwatch.detect import ast
from keelwatch.detect.generate import WORTH_KEEPING, Expressions, cheapest_first, cost
from keelwatch.detect.specialize import specialize
from keelwatch.model.audit import AUDIT_KIND

MAX_INDENT = 40
"""Python reads at most 100 levels of indentation."""

Matcher: TypeAlias = Callable[[Any], list[Any]]
"""Takes an event of the kind that it was made for."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A rule (by number) and what is left to ask for it."""

    rule: int
    asks: tuple[ast.Node, ...]


def compile_kind(conditions: Sequence[ast.Node], results: Sequence[Any], kind: str) -> Matcher:
    """Return the function for one kind; it returns the `results` of the conditions that hold."""
    source, names = generate(conditions, kind)
    names["results"] = results
    scope: dict[str, Any] = {**names, "__builtins__": {}}
    exec(compile(source, f"<rules for {kind}>", "exec"), scope)  # noqa: S102  # made of literals only: generate.py
    matcher: Matcher = scope["match"]
    return matcher


def generate(conditions: Sequence[ast.Node], kind: str) -> tuple[str, dict[str, Any]]:
    """Return the source of the function and the objects it refers to."""
    expressions = Expressions()
    branches = []
    for number, condition in enumerate(conditions):
        left = specialize(condition, kind)
        if left != ast.NEVER:
            branches.append(Branch(number, left.items if isinstance(left, ast.And) else (left,)))
    expressions.share(ask for branch in branches for ask in branch.asks)
    body = _block(branches, expressions, 1)
    head = ["def match(e):", "    p = e.process", "    i = e.identity", "    hits = []"]
    if kind == AUDIT_KIND:
        head.remove("    p = e.process")  # a request has none
    if kept := [*expressions.locals.values(), *expressions.outcomes.values()]:
        head.append("    " + " = ".join(kept) + " = U")
    return "\n".join([*head, *body, "    return hits", ""]), expressions.names


def _block(branches: list[Branch], expressions: Expressions, indent: int) -> list[str]:
    """The statements for some rules: shared questions first."""
    lines: list[str] = []
    pad = "    " * indent
    while indent < MAX_INDENT and (shared := _most_shared(branches)) is not None:
        inside = [
            Branch(b.rule, tuple(a for a in b.asks if a != shared)) for b in branches if shared in b.asks
        ]
        lines.append(f"{pad}if {expressions.of(shared)}:")
        lines += _block(inside, expressions, indent + 1)
        branches = [branch for branch in branches if shared not in branch.asks]
    for branch in branches:
        lines += _leaf(branch, expressions, pad)
    return lines


def _most_shared(branches: list[Branch]) -> ast.Node | None:
    """The cheap question that most rules ask; None when no two share one.

    Expensive ones come last in each rule; their outcome is kept, so they are asked once at most.
    """
    asked = Counter(ask for branch in branches for ask in branch.asks if cost(ask) < WORTH_KEEPING)
    best = max(asked, key=lambda ask: (asked[ask], -cost(ask)), default=None)
    return best if best is not None and asked[best] > 1 else None


def _leaf(branch: Branch, expressions: Expressions, pad: str) -> list[str]:
    asks = [ask for ask in cheapest_first(branch.asks) if ask != ast.ALWAYS]
    hit = f"hits.append(results[{branch.rule}])"
    if not asks:
        return [f"{pad}{hit}"]
    return [f"{pad}if {expressions.of(ast.both(list(asks)))}:", f"{pad}    {hit}"]
