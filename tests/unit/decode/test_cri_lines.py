"""CRI and json-file lines: any cut of the bytes into chunks gives the same lines."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.decode import cri, jsonfile
from keelwatch.decode.lines import Part, split_days, utc_day, whole_lines

TIME = b"2026-01-31T12:00:00.%09dZ"
TEXT = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b""))
STREAMS = st.sampled_from([b"stdout", b"stderr"])


@st.composite
def cri_files(draw: st.DrawFn) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """A CRI file of whole lines in parts, and its (stream, text) in the order in which lines end."""
    data, lines = [], []
    waiting: dict[bytes, list[bytes]] = {}
    pieces = draw(st.lists(st.tuples(STREAMS, st.booleans(), TEXT), max_size=30))
    ends = [(stream, True, b"") for stream in (b"stdout", b"stderr")]
    for number, (stream, last, text) in enumerate(pieces + ends):
        data.append(b" ".join([TIME % number, stream, b"F" if last else b"P", text]) + b"\n")
        waiting.setdefault(stream, []).append(text)
        if last:
            lines.append((stream, b"".join(waiting.pop(stream))))
    return b"".join(data), lines


@st.composite
def json_files(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, str]]]:
    data, lines = [], []
    waiting: dict[str, list[str]] = {}
    text = st.text(max_size=20).map(lambda t: t.replace("\n", "").encode("utf-8", "replace").decode())
    pieces = draw(
        st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.booleans(), text), max_size=30)
    )
    for number, (stream, last, log) in enumerate([*pieces, ("stdout", True, ""), ("stderr", True, "")]):
        piece = log + "\n" * last
        record = {"log": piece, "stream": stream, "time": f"2026-01-31T12:00:00.{number:09d}Z"}
        data.append(orjson.dumps(record) + b"\n")
        waiting.setdefault(stream, []).append(piece)
        if last:
            lines.append((stream, "".join(waiting.pop(stream))))
    return b"".join(data), lines


def in_chunks(module, data: bytes, cuts: list[int]) -> bytes:
    """Join file lines in chunks of a few lines each, the pending parts going through JSON between them."""
    lines = whole_lines(data)
    pending, out, at = {}, [], 0
    for cut in [*sorted(cuts), len(lines)]:
        if piece := b"".join(lines[at:cut]):
            joined = module.join(piece, pending)
            out.append(joined.data)
            pending = {name: Part.from_json(part.to_json()) for name, part in joined.pending.items()}
            at = cut
    assert not pending
    return b"".join(out)


@given(cri_files(), st.lists(st.integers(0, 35), max_size=6))
def test_cri_parts_are_joined_whatever_the_chunks(file, cuts):
    data, lines = file
    joined = whole_lines(in_chunks(cri, data, cuts))
    assert [(line.split(b" ", 3)[1], line.split(b" ", 3)[3][:-1]) for line in joined] == lines
    assert all(line.split(b" ", 3)[2] == b"F" for line in joined)


@given(json_files(), st.lists(st.integers(0, 35), max_size=6))
def test_json_parts_are_joined_whatever_the_chunks(file, cuts):
    data, lines = file
    joined = [orjson.loads(line) for line in whole_lines(in_chunks(jsonfile, data, cuts))]
    assert [(record["stream"], record["log"]) for record in joined] == lines


@pytest.mark.parametrize("module", [cri, jsonfile])
@given(data=st.binary(min_size=1).map(lambda data: data + b"\n"))
def test_garbage_passes_unchanged(module, data):
    assert module.join(data, {}).data == data
    split = split_days(data, "2026-01-01", module.day)
    assert sorted(b"".join(lines for _, lines in split)) == sorted(data)


def test_joined_line_has_the_time_of_its_first_part():
    data = b"2026-01-01T00:00:00.1Z stdout P a\n2026-01-01T00:00:00.2Z stdout F b\n"
    assert cri.join(data, {}).data == b"2026-01-01T00:00:00.1Z stdout F ab\n"


def test_chunk_without_parts_is_the_same_object():
    data = b"2026-01-01T00:00:00.1Z stdout F a stdout X\n"
    assert cri.join(data, {}).data is data
    record = b'{"log":"a\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n'
    assert jsonfile.join(record, {}).data is record


def test_json_backslash_n_at_the_end_of_a_part_is_not_a_newline():
    part = orjson.dumps({"log": "a\\n", "stream": "stdout", "time": "2026-01-01T00:00:00Z"}) + b"\n"
    end = orjson.dumps({"log": "b\n", "stream": "stdout", "time": "2026-01-01T00:00:00Z"}) + b"\n"
    assert orjson.loads(jsonfile.join(part + end, {}).data)["log"] == "a\\nb\n"


@pytest.mark.parametrize("module", [cri, jsonfile])
def test_line_beyond_the_limit_comes_in_pieces_and_counts_once(module):
    def piece(text: str, last: bool) -> bytes:
        if module is cri:
            return f"2026-01-01T00:00:00Z stdout {'F' if last else 'P'} {text}\n".encode()
        record = {"log": text + "\n" * last, "stream": "stdout", "time": "2026-01-01T00:00:00Z"}
        return orjson.dumps(record) + b"\n"

    data = b"".join(piece(letter * 40, last=letter == "e") for letter in "abcde")
    joined = module.join(data, {}, limit=100)
    assert joined.cut == 1
    assert not joined.pending
    text = joined.data.decode()
    assert [text.count(letter * 40) for letter in "abcde"] == [1] * 5
    assert joined.data.count(b"\n") == 3


@pytest.mark.parametrize("module", [cri, jsonfile])
def test_flush_lets_go_of_what_waits(module):
    line = {
        cri: b"2026-01-01T00:00:00Z stderr P tail\n",
        jsonfile: b'{"log":"tail","stream":"stderr","time":"2026-01-01T00:00:00Z"}\n',
    }[module]
    joined = module.join(line, {})
    assert joined.data == b""
    flushed = module.flush(joined.pending)
    assert b"tail" in flushed
    assert module.join(flushed, {}).pending == {}


@pytest.mark.parametrize(
    ("stamp", "day"),
    [
        (b"2026-01-31T23:59:59.999999999Z stdout", "2026-01-31"),
        (b"2026-02-01T00:30:00.5+02:00 stdout", "2026-01-31"),
        (b"2026-01-31T23:30:00-05:00 x", "2026-02-01"),
        (b"2026-02-30T00:00:00Z", None),
        (b"9999-12-31T23:59:59-05:00", None),
        (b"1970-01-01T00:00:00Z x", None),
        (b"0001-01-01T00:00:00+05:00", None),
        (b"", None),
        (b"\xff\x00", None),
    ],
)
def test_utc_day(stamp, day):
    assert utc_day(stamp) == day


def test_days_are_split_and_lines_without_time_stay_with_their_neighbour():
    data = b"2026-01-01T23:00:00Z stdout F a\ngarbage\n2026-01-02T00:00:00Z stdout F b\nmore\n"
    split = split_days(data, "2020-01-01", cri.day)
    assert [day for day, _ in split] == ["2026-01-01", "2026-01-02"]
    assert [lines.count(b"\n") for _, lines in split] == [2, 2]


def test_days_are_bounded():
    data = b"".join(b"20%02d-01-01T00:00:00Z stdout F x\n" % year for year in range(99))
    split = split_days(data, "2020-01-01", cri.day)
    assert len(split) == 16
    assert sum(lines.count(b"\n") for _, lines in split) == 99
