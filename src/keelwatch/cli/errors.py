"""Exit codes, and the errors that carry them."""

from __future__ import annotations

import click

OK = 0
NOT_FOUND = 1
"""Nothing found where one thing was asked for, or `doctor` found an essential problem."""
USAGE = 2
UNREACHABLE = 3
NOT_AUTHORISED = 4
INTERRUPTED = 130
BROKEN_PIPE = 141


class CliError(click.ClickException):
    """A message for the user and the exit code that belongs to it; `hint` says what to do."""

    def __init__(self, message: str, exit_code: int, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        # click declares it for the class, and reads it from the instance.
        vars(self)["exit_code"] = exit_code
