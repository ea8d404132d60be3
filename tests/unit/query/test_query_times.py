from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.query.errors import QuestionError
from keelwatch.query.times import NS, parse_time, rfc3339

NOW = 1_768_478_400 * NS  # 2026-01-15T12:00:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("2h30m", 9000),
        ("1d", 86_400),
        ("90s", 90),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("1w", 604_800),
    ],
)
def test_durations_count_back(text: str, seconds: float) -> None:
    assert parse_time("since", text, NOW) == NOW - int(seconds * NS)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-01-15T12:00:00Z", NOW),
        ("2026-01-15T13:00:00+01:00", NOW),
        ("2026-01-15t12:00:00.5z", NOW + NS // 2),
        ("2026-01-15 12:00:00.000000001Z", NOW + 1),
    ],
)
def test_rfc3339(text: str, nanoseconds: int) -> None:
    assert parse_time("since", text, NOW) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10 m", "yesterday", "2026-02-31T00:00:00Z", "2026-01-15", "-5m", "٣m"]
)
def test_everything_else_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(QuestionError) as caught:
        parse_time("until", text, NOW)
    assert caught.value.parameter == "until"
    assert "RFC" not in caught.value.hint
    assert "10m" in caught.value.hint


@given(st.integers(0, 4_000_000_000 * NS))
def test_written_times_are_read_back(nanoseconds: int) -> None:
    assert parse_time("since", rfc3339(nanoseconds), NOW) == nanoseconds
