"""One hub and agent for all tests of the whole stack: what they do is told apart by random names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import CriRuntime, Kubelet
from lab.pod import random_name
from lab.stack import Stack
from tests.stack_support import missing_for_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`keelwatch up` with names of its own for node and cluster."""
    if missing := missing_for_stack():
        pytest.skip(f"no whole stack here: {missing}")
    stack = Stack("--node", f"node-{random_name(6)}", "--cluster", f"cluster-{random_name(4)}")
    with stack:
        yield stack


@pytest.fixture(scope="module")
def module_kubelet(lab_runtime: CriRuntime) -> Iterator[Kubelet]:
    """Runs pods that several tests of a module look at."""
    made = Kubelet(lab_runtime.socket, lab_runtime.logs)
    yield made
    made.delete_all()
    made.close()
