"""C and Python agree on the wire: the built object's BTF against decode/sensor.py and capture/ring.py."""

from __future__ import annotations

import re
import struct

import pytest
from btf_reader import Btf, Field

from keelwatch.capture import ring
from keelwatch.decode import sensor
from keelwatch.model.observation import KINDS

LAYOUTS = {
    "kw_head": [sensor.HEAD],
    "kw_file": [sensor.FILE],
    "kw_exec_event": [sensor.HEAD, sensor.FILE, sensor.EXEC_TAIL],
    "kw_fork_event": [sensor.HEAD, sensor.FORK_TAIL],
    "kw_exit_event": [sensor.HEAD, sensor.EXIT_TAIL],
    "kw_file_event": [sensor.HEAD, sensor.FILE],
    "kw_call_event": [sensor.HEAD, sensor.FILE, sensor.CALL_TAIL],
}
READER_LAYOUTS = {
    "exec": "kw_exec_event",
    "fork": "kw_fork_event",
    "exit": "kw_exit_event",
    **dict.fromkeys(("open", "inherit", "rename", "link", "chmod", "unlink"), "kw_file_event"),
    **dict.fromkeys(("setns", "unshare", "mount", "ptrace", "module"), "kw_call_event"),
}


@pytest.fixture(scope="module")
def btf() -> Btf:
    if not ring.OBJECT.exists():
        pytest.skip("the sensor is not built: make sensor")
    return Btf(ring.OBJECT)


def python_fields(layouts: list[struct.Struct]) -> list[tuple[int, int, bool, bool]]:
    """(offset, size, signed, text) of every value that Python unpacks."""
    found, base = [], 0
    for layout in layouts:
        at = base
        for count, code in re.findall(r"(\d*)([a-zA-Z])", layout.format):
            number = int(count or 1)
            size = struct.calcsize("<" + code)
            if code == "s":
                found.append((at, number, False, True))
            elif code != "x":
                found += [(at + i * size, size, code.islower(), False) for i in range(number)]
            at += number * size
        base += layout.size
    return found


def wire_fields(fields: list[Field]) -> list[tuple[int, int, bool, bool]]:
    named = [f for f in fields if "reserved" not in f.name]
    return [(f.offset, f.size, f.signed, f.text) for f in named]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_field_lies_where_python_reads_it(btf: Btf, name: str) -> None:
    assert python_fields(LAYOUTS[name]) == wire_fields(btf.fields(name))
    assert sum(layout.size for layout in LAYOUTS[name]) == btf.size(name)


def test_texts_begin_behind_the_fixed_part(btf: Btf) -> None:
    for kind, (fixed, _) in zip(KINDS, sensor._READERS, strict=True):
        assert fixed == btf.size(READER_LAYOUTS[kind]), kind


def test_field_names_of_the_head_are_the_names_of_an_observation(btf: Btf) -> None:
    names = {field.name.partition("[")[0] for field in btf.fields("kw_head")}
    known = set(sensor.Observation.__slots__)
    renamed = {"text", "reserved", "container", "call", "visit"}  # texts, padding, container_id, syscall
    assert names - renamed <= known


@pytest.mark.parametrize(
    ("enum", "prefix", "values"),
    [
        ("kw_kind", "KW_", ("any", *KINDS, "kinds")),
        ("kw_loss", "KW_", (*ring.CAUSES, "losses")),
        ("kw_call", "KW_CALL_", ("none", *sensor.CALLS[1:], None)),
        ("kw_phase", "KW_", sensor.PHASES),
        ("kw_source", "KW_", ("nowhere", *sensor.SOURCES[1:])),
    ],
)
def test_enums_number_the_same_names(
    btf: Btf, enum: str, prefix: str, values: tuple[str | None, ...]
) -> None:
    wire = btf.enum(enum)
    assert list(wire.values()) == list(range(len(values)))
    for (name, _), expected in zip(wire.items(), values, strict=True):
        assert expected is None or name.removeprefix(prefix).lower() == expected


def test_texts_have_the_positions_that_python_reads(btf: Btf) -> None:
    wire = btf.enum("kw_text")
    assert {name: wire[name] for name in ("KW_TEXT_PATH", "KW_TEXT_CWD", "KW_TEXT_BASE")} == {
        "KW_TEXT_PATH": 0,
        "KW_TEXT_CWD": 1,
        "KW_TEXT_BASE": 1,
    }
    assert (wire["KW_TEXT_OLD_PATH"], wire["KW_TEXT_OLD_BASE"]) == (2, sensor.TEXT_OLD_BASE)
    assert wire["KW_TEXT_BASE"] == sensor.TEXT_BASE
    assert btf.enum("kw_visit")["KW_VISIT_DIRECTORY"] == sensor.VISIT_DIRECTORY
    assert (wire["KW_TEXT_SCRIPT"], wire["KW_TEXT_ARGV"], wire["KW_TEXT_ENVIRONMENT"]) == (2, 3, 4)
    assert (wire["KW_TEXT_SOURCE"], wire["KW_TEXT_FILESYSTEM"], wire["KW_TEXT_NAME"]) == (2, 3, 2)


def test_every_cause_is_a_gaps_cause() -> None:
    from keelwatch.model.gap import CAUSES

    assert set(ring.CAUSES) <= set(CAUSES)
