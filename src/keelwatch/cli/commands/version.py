"""`keelwatch version`."""

from __future__ import annotations

import platform

import click

from keelwatch import __version__
from keelwatch.cli.options import HelpfulCommand, output_option
from keelwatch.cli.output import emit, print_json, print_yaml


@click.command(cls=HelpfulCommand, examples="keelwatch version -o json")
@output_option("table", "json", "yaml")
def command(output: str) -> None:
    """Print the version of this command."""
    facts = {"version": __version__, "python": platform.python_version(), "kernel": platform.release()}
    if output == "table":
        emit(f"keelwatch {__version__} (Python {facts['python']}, kernel {facts['kernel']})")
    else:
        (print_json if output == "json" else print_yaml)(facts)
