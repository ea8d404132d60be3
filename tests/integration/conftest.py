"""One hub and agent for all tests of the whole stack: what they do is told apart by random names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.stack_support import missing_for_stack

from lab.pod import random_name
from lab.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`keelwatch up` with names of its own for node and cluster."""
    if missing := missing_for_stack():
        pytest.skip(f"no whole stack here: {missing}")
    stack = Stack("--node", f"node-{random_name(6)}", "--cluster", f"cluster-{random_name(4)}")
    with stack:
        yield stack
