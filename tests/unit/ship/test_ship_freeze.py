"""What cannot be written down is left out and counted; all else is written."""

import json

import orjson
import pytest

from keelwatch.model.identity import Identity
from keelwatch.model.logchunk import encode_chunk
from keelwatch.ship.freeze import rows_draft

DAY = 86_400_000_000_000


def row(**more):
    return {"node": "n", "pod": "p", "time": 20_000 * DAY, "detail": "", **more}


@pytest.mark.parametrize(
    "bad",
    [
        {"restart": 10**25},
        {"time": "noon"},
        {"time": 10**30},
        {"detail": object()},
        {"node": 5, "time": None},
    ],
)
def test_a_row_that_cannot_be_encoded_becomes_a_gap_and_the_others_stay(bad):
    drafts = rows_draft("events", [row(pod="a"), row(**bad), row(pod="b")])
    events, gaps = drafts
    assert [json.loads(line)["pod"] for line in events.raw.splitlines()] == ["a", "b"]
    gap = json.loads(gaps.raw)
    assert (gaps.table, gap["what"], gap["cause"], gap["amount"], gap["unit"], gap["pod"]) == (
        "gaps", "events", "fault", 1, "rows", "p",
    )  # fmt: skip


def test_days_are_apart_and_keep_their_order():
    drafts = rows_draft("events", [row(pod="a"), row(pod="b", time=20_001 * DAY), row(pod="c")])
    assert [[orjson.loads(line)["pod"] for line in draft.raw.splitlines()] for draft in drafts] == [
        ["a", "c"], ["b"],
    ]  # fmt: skip


@pytest.mark.parametrize(("restart", "kept"), [(10**25, 2**32 - 1), (-1, 0), (7, 7)])
def test_no_identity_breaks_a_chunk(restart, kept):
    chunk = encode_chunk("cri", 0, 0, Identity(pod="a\udcff", restart=restart), b"line\n")
    assert b"\x07a\\udcff" in chunk
    assert kept.to_bytes(4, "little") in chunk
