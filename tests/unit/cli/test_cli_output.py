"""Tables, JSON and YAML as they are printed."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import pytest
import yaml

from keelwatch.cli import output


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    # pytest puts its own sys.stdout back between fixture and test, so the module gets another `sys`.
    monkeypatch.setattr(output, "sys", SimpleNamespace(stdout=made, maxsize=sys.maxsize))
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return made


def test_columns_are_aligned_and_nothing_is_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("NAME", "TEXT"), [["a", "x" * 200], ["日本語", "short"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["NAME    TEXT", "a       " + "x" * 200, "日本語  short"]


def test_the_last_column_is_cut_at_the_edge_of_the_terminal(terminal: Terminal) -> None:
    output.print_table(("NAME", "TEXT"), [["a", "x" * 200]])
    assert terminal.getvalue().splitlines()[1] == "a     " + "x" * 33 + "…"


def test_colours_only_where_they_are_wanted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert output.styled("x", "red") == "\x1b[31mx\x1b[0m"
    assert output.wheel("x", "pod").startswith("\x1b[")
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.styled("x", "red") == "x"
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert output.wheel("x", "pod") == "x"


def test_a_pod_keeps_its_colour(terminal: Terminal) -> None:
    assert output.wheel("a", "pod-1") == output.wheel("a", "pod-1")
    assert len({output.wheel("a", f"pod-{number}") for number in range(30)}) > 4


def test_escapes_in_a_pipe_keep_everything_but_line_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(output.safe("\x1b[31mred\nforged"))
    assert capsys.readouterr().out == "\x1b[31mred\\nforged\n"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b", "\u202e", "\x00", "a\nb"])
def test_no_format_lets_a_control_character_through_to_a_terminal(terminal: Terminal, hostile: str) -> None:
    record = {"message": hostile}
    output.print_table(("M",), [[hostile]])
    output.print_json(record)
    output.print_yaml(record)
    shown = terminal.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert len(shown.splitlines()) > 4
    assert not {"\x1b", "\x9b", "\u202e", "\x00"} & set(shown)


def test_json_and_yaml_keep_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"message": "naïve \x1b\u202e", "n": 1}
    output.print_json(record)
    assert json.loads(capsys.readouterr().out) == record
    output.print_yaml(record)
    assert yaml.safe_load(capsys.readouterr().out) == record


def test_undecodable_text_is_printed_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit("bad \udcff")
    assert capsys.readouterr().out == "bad \\udcff\n"
