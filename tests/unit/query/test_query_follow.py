"""A follower sees every spool, however many there are and whoever is loud."""

from __future__ import annotations

from keelwatch.query.follow import MAX_SPANS, advance, news


def test_only_what_is_new() -> None:
    spans = news({"a": 3, "b": 2}, {"a": 3, "b": 5, "c": 1})
    assert {(span.spool, span.after, span.upto) for span in spans} == {("b", 2, 5), ("c", 0, 1)}
    assert advance({"a": 3, "b": 2}, spans) == {"a": 3, "b": 5, "c": 1}


def test_no_spool_starves_while_all_of_them_are_busy() -> None:
    names = [f"spool-{n:04}" for n in range(3 * MAX_SPANS)]
    seen = dict.fromkeys(names, 0)
    served: set[str] = set()
    for turn in range(1, 4):
        spans = news(seen, dict.fromkeys(names, turn))  # each has something new, every time
        assert len(spans) == MAX_SPANS
        served |= {span.spool for span in spans}
        seen = advance(seen, spans)
    assert served == set(names)
