"""`keelwatch canary`: says a number and runs a new program of that number, again and again.

Its line and its program's start must both reach the hub, which proves the whole way (evidence/canary.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from keelwatch.cli.agent_options import PATH
from keelwatch.cli.errors import USAGE, CliError
from keelwatch.cli.options import HelpfulCommand

NAME = "keelwatch-canary"
_EXAMPLES = "keelwatch canary --directory /tmp"
_PROGRAM = Path("/bin/true")


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.option("--directory", type=PATH, metavar="DIR", default=Path("/tmp"), show_default=True,  # noqa: S108  # a container's own
              help="Where programs are made; on a file system that lets them run.")  # fmt: skip
@click.option("--interval", type=click.FloatRange(0.05, 3600), default=60.0, show_default=True,
              help="Seconds between two beats; the hub expects 60.")  # fmt: skip
@click.option("--delay", type=click.FloatRange(0, 3600), default=0.0, help="Seconds before the first beat.")
@click.option("--count", type=click.IntRange(0), default=0, help="Beats until it ends; 0 for no end.")
def command(directory: Path, interval: float, delay: float, count: int) -> None:
    """Prove the way from this container to the hub: run it as a container named keelwatch-canary."""
    closing = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        closing.set()

    signal.signal(signal.SIGTERM, leave)
    closing.wait(delay)
    began = time.monotonic()
    number = 0
    while not closing.is_set() and (not count or number < count):
        number += 1
        try:
            beat(number, directory)
        except OSError as error:
            raise CliError(f"cannot run a program in {directory}: {error}", USAGE) from error
        closing.wait(max(0.0, began + number * interval - time.monotonic()))


def beat(number: int, directory: Path) -> None:
    """Run a program that was never run before, then say its number."""
    program = directory / f"{NAME}-{number}"
    source, arguments = _source()
    shutil.copyfile(source, program)
    program.chmod(0o755)
    try:
        nothing = subprocess.DEVNULL
        subprocess.run([program, *arguments], check=False, stdin=nothing, stdout=nothing, stderr=nothing)
    finally:
        program.unlink(missing_ok=True)
    sys.stdout.write(f"{NAME} beat={number} time={datetime.now(UTC).isoformat()} program={program}\n")
    sys.stdout.flush()


def _source() -> tuple[Path, tuple[str, ...]]:
    """A small program that does nothing; where there is none, the interpreter telling its version."""
    if _PROGRAM.is_file():
        return _PROGRAM, ()
    return Path(os.path.realpath(sys.executable)), ("--version",)
