"""What is said of agents that refuse rules: once for all with the same mistakes, and bounded."""

from __future__ import annotations

import orjson

from keelwatch.hub.rules import refusals


def row(node: str, errors: str) -> dict[str, str]:
    return {"node": node, "detail": orjson.dumps({"rules": 1, "errors": errors}).decode()}


def test_the_same_mistake_on_many_nodes_is_one_sentence() -> None:
    rows = [row(f"n{number}", "a.yaml:1:1: no") for number in range(7)]
    assert refusals([row("other", "b.yaml:2:2: bad"), *rows]) == [
        "rules are not in force on 7 nodes (n0, n1, n2, n3, n4, …): a.yaml:1:1: no",
        "rules are not in force on node other: b.yaml:2:2: bad",
    ]


def test_what_is_said_is_bounded() -> None:
    found = refusals([row(f"n{number}", f"{number}" + "x" * 4000) for number in range(200)])
    assert len(found) == 11
    assert found[-1] == "rules are refused for 190 more reasons"
    assert max(map(len, found)) < 500


def test_reasons_that_are_none() -> None:
    details = ("", "[]", "null", "{}", '{"errors": null}', "{")
    told = {problem for text in details for problem in refusals([{"node": "n", "detail": text}])}
    assert told == {"rules are not in force on node n: no reason given"}
