"""Measures in turn with nothing attached, with the floor and with the agent, several times.

In turn, because a machine's speed drifts: what is compared was measured within the same minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.floor import floor
from bench.node import SETTLE_SECONDS, Node

MODES = ("off", "floor", "on")


def alternate(
    node: Node, rounds: int, measure: Callable[[], dict[str, float]]
) -> dict[str, list[dict[str, float]]]:
    """What `measure` returned, by mode, one for each round. The first, unused, one warms up."""
    measure()
    found: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    for _ in range(rounds):
        found["off"].append(measure())
        with floor(node.directory):
            time.sleep(SETTLE_SECONDS)
            found["floor"].append(measure())
        with node.agent():
            found["on"].append(measure())
    return found
