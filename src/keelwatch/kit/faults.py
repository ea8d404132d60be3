"""Places where a test may kill this process, to prove that a kill there loses and doubles nothing.

`KEELWATCH_FAULT=NAME:COUNT` makes the process send itself SIGKILL when it passes the point NAME for
the COUNT-th time. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal


def _parse(setting: str) -> tuple[str, int]:
    name, _, count = setting.partition(":")
    return name, int(count or "1")


_name, _left = _parse(os.environ.get("KEELWATCH_FAULT", ""))


def point(name: str) -> None:
    """Pass the point `name`: does not return if the environment asks for a kill here."""
    if name != _name:
        return
    global _left  # noqa: PLW0603  # one countdown for the process, set once from the environment
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
