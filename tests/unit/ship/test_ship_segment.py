"""Reading segments back: whatever the bytes, no crash, and intact groups are found."""

import random

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.model.batch import BatchHeader, encode_frame
from keelwatch.ship.segment import State, encode_commit, scan


def group(n: int) -> bytes:
    body = random.Random(n).randbytes(n * 37 % 400)
    frame = encode_frame(BatchHeader("spool", "logs", n, "2026-01-01", 1, "chunks", len(body)), body)
    return frame + encode_commit({**State("spool", {"logs": n + 1}).progress(), "checkpoints": {"s": n}})


HEAD = encode_commit(State("spool").snapshot())


@given(st.binary(max_size=2000))
def test_garbage_is_damage_or_tail(data):
    found = scan(data)
    assert found.records == []
    assert found.end == 0


@given(st.integers(0, 6), st.data())
def test_any_cut_leaves_whole_groups(count, data):
    groups = [group(n) for n in range(1, count + 1)]
    whole = HEAD + b"".join(groups)
    cut = data.draw(st.integers(len(HEAD), len(whole)))
    found = scan(whole[:cut])
    ends = [len(HEAD) + sum(map(len, groups[:n])) for n in range(count + 1)]
    assert found.end == max(end for end in ends if end <= cut)
    assert [header.seq for header in found.headers()] == list(range(1, ends.index(found.end) + 1))
    assert found.damage == []


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=30))
def test_any_overwrite_keeps_all_groups_it_did_not_touch(at, noise):
    groups = [group(n) for n in range(1, 8)]
    whole = bytearray(HEAD + b"".join(groups))
    whole[at : at + len(noise)] = noise[: max(0, len(whole) - at)]
    found = scan(bytes(whole), "spool")
    start = len(HEAD)
    for n, one in enumerate(groups[:-1], start=1):
        if start + len(one) <= at or start >= at + len(noise):
            assert n in [header.seq for header in found.headers()]
        start += len(one)


def test_commits_add_up():
    state = State("")
    for commit in scan(HEAD + group(1) + group(2)).commits():
        state.absorb(commit)
    assert (state.spool, state.following, state.checkpoints) == ("spool", {"logs": 3}, {"s": 2})
    state.update_checkpoints({"s": None})
    assert state.checkpoints == {}
