"""Nothing that came from a container may reach the terminal as anything but text."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.kit.text import age, one_line, parse_time, printable, short_time


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain, tab\there", "plain, tab\there"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("one\ntwo\r", "one\\ntwo\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("naïve 日本 ✓", "naïve 日本 ✓"),
    ],
)
def test_control_characters_are_escaped(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    left = {
        c for c in printable(text) if unicodedata.category(c) == "Cc" or c in "\u202a\u202e\u2066\u2069\u2028"
    }
    assert left <= {"\t"}


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1 or set(one_line(text)) & set("\x1c\x1d\x1e")


def test_times() -> None:
    when = "2026-11-23T16:12:57.123456789Z"
    assert short_time(when) == "2026-11-23 16:12:57"
    assert short_time(when, digits=3) == "2026-11-23 16:12:57.123"
    assert short_time("2026-11-23T16:12:57Z", digits=3) == "2026-11-23 16:12:57.000"
    assert parse_time("1970-01-01T00:00:00.000000000Z") is None
    assert parse_time("nonsense") is None


@pytest.mark.parametrize(
    ("then", "shown"),
    [("16:12:57", "3s"), ("16:11:30", "90s"), ("16:01:00", "12m"), ("04:00:00", "12h")],
)
def test_age(then: str, shown: str) -> None:
    now = datetime(2026, 11, 23, 16, 13, 0, tzinfo=UTC)
    assert age(f"2026-11-23T{then}Z", now) == shown
