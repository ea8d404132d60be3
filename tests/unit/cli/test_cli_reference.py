"""docs/reference/cli.md says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from keelwatch.cli.main import COMMANDS, main

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def test_the_reference_is_current(tmp_path: Path) -> None:
    made = tmp_path / "cli.md"
    subprocess.run([sys.executable, "-m", "keelwatch.cli.reference", str(made)], check=True)
    assert made.read_text() == PAGE.read_text(), f"run: python -m keelwatch.cli.reference {PAGE}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_with_examples(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: main {name}" in result.output
    assert f"keelwatch {name}" in result.output.partition("Examples")[2]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_KEELWATCH_COMPLETE" in result.output


def test_completion_completes() -> None:
    asked = {"_KEELWATCH_COMPLETE": "bash_complete", "COMP_WORDS": "keelwatch tim", "COMP_CWORD": "1"}
    program = [str(Path(sys.executable).with_name("keelwatch"))]
    found = subprocess.run(
        program, env=asked | {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert found.stdout.strip() == "plain,timeline"


def test_starting_is_quick_because_only_the_named_command_is_imported() -> None:
    code = "import sys; from keelwatch.cli.main import main; main(['version'], standalone_mode=False); "
    code += "print([m for m in ('chdb', 'fastapi', 'grpc', 'jinja2') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
