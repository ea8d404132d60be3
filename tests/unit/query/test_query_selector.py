from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.query.errors import QuestionError
from keelwatch.query.selector import Requirement, parse_selector


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("app=checkout", [Requirement("app", "in", ("checkout",))]),
        ("app == checkout", [Requirement("app", "in", ("checkout",))]),
        ("tier!=cache", [Requirement("tier", "notin", ("cache",))]),
        ("env in (dev, test)", [Requirement("env", "in", ("dev", "test"))]),
        ("env notin (prod),app", [Requirement("env", "notin", ("prod",)), Requirement("app", "exists")]),
        ("!legacy", [Requirement("legacy", "!exists")]),
        ("app.kubernetes.io/name=x", [Requirement("app.kubernetes.io/name", "in", ("x",))]),
        ("a=", [Requirement("a", "in", ("",))]),
    ],
)
def test_selectors(text: str, wanted: list[Requirement]) -> None:
    assert parse_selector(text) == wanted


@pytest.mark.parametrize("text", ["", ",", "a=b=c", "a in (b", "a in b", "=x", "a='b'", "a=b'; DROP", "-a=b"])
def test_mistakes_are_refused(text: str) -> None:
    with pytest.raises(QuestionError):
        parse_selector(text)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        found = parse_selector(text)
    except QuestionError:
        return
    for requirement in found:
        assert "'" not in requirement.key
        assert all("'" not in value for value in requirement.values)
