"""What documents tell people to type exists: commands, their options, and values of the chart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from keelwatch.cli.main import main

ROOT = Path(__file__).parents[3]
HOW_TOS = sorted((ROOT / "docs/how-to").glob("*.md"))
VALUES = yaml.safe_load((ROOT / "deploy/helm/keelwatch/values.yaml").read_text())


def commands(text: str) -> list[list[str]]:
    """Calls of keelwatch in blocks of code and in code within a sentence, word by word."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"^ {4}.*$", text, re.MULTILINE)
    code = [line for block in blocks for line in block.splitlines()]
    code += re.findall(r"`(keelwatch [^`\n]+)`", re.sub(r"```\w*\n.*?```", "", text, flags=re.DOTALL))
    told = (re.search(r"(?:^\s*|-- )keelwatch ([a-z][^#|>)]*)", line) for line in code)
    return [found[1].split() for found in told if found]


def unknown(words: list[str]) -> list[str]:
    """What of a call keelwatch does not know."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(click.Context(command), name)
        if found is None:
            return [name]
        command = found
    takers = [command, *command.commands.values()] if isinstance(command, click.Group) else [command]
    options = {name for taker in takers for parameter in taker.params for name in parameter.opts}
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [option for option in given if option not in options]


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page: Path) -> None:
    found = commands(page.read_text("utf-8"))
    assert len(found) > 5
    assert [(" ".join(words), what) for words in found if (what := unknown(words))] == []


def value(path: str) -> Any:
    at: Any = VALUES
    for name in path.split("."):
        at = at[name]
    return at


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_values_of_the_chart_exist(page: Path) -> None:
    parts = "|".join(name for name, below in VALUES.items() if isinstance(below, dict) and below)
    named = re.findall(rf"[`\s,]((?:{parts})(?:\.[a-zA-Z]+)+)\b(?!\()", page.read_text("utf-8"))
    assert len(named) > 2
    for path in named:
        value(path)
