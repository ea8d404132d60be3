"""A sensor watched by a thread, the pods it is tried on, and single calls made in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keelwatch.capture.ring import Sensor
from keelwatch.decode.sensor import decode
from keelwatch.model.observation import Observation
from lab import ContainerSpec, Pod, PodSpec
from lab.pod import Mount, random_name

TOOLS = "/opt/keelwatch-test"


class Watch:
    """Drains a sensor in a thread and keeps what came."""

    def __init__(self, sensor: Sensor) -> None:
        self.sensor = sensor
        self.seen: list[Observation] = []
        self.errors = 0
        self._stop = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop:
            found, errors = decode(self.sensor.drain(50))
            self.seen += found
            self.errors += errors

    def wait(self, wanted: Callable[[Observation], bool], timeout: float = 5.0) -> Observation:
        """Return the first observation that is wanted, also of those that came before."""
        end = time.monotonic() + timeout
        at = 0
        while True:
            while at < len(self.seen):
                if wanted(self.seen[at]):
                    return self.seen[at]
                at += 1
            if time.monotonic() > end:
                kinds = [(o.kind, o.syscall, o.comm, o.path, o.result) for o in self.seen[-40:]]
                pytest.fail(f"not seen; the last were {kinds}")
            time.sleep(0.01)

    def settle(self) -> list[Observation]:
        """Everything, once what is under way has come."""
        time.sleep(0.2)
        return list(self.seen)

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self.sensor.close()


def pod_spec(tools: Path, privileged: bool = False) -> PodSpec:
    """A sleeping container with random names and the test's program under a random folder name."""
    container = ContainerSpec(
        f"c-{random_name(6)}",
        command=("toolbox", "sleep", "100000"),
        mounts=(Mount(tools, TOOLS, readonly=True),),
        privileged=privileged,
        env={"KW_SHOWN": random_name(5), "KW_SECRET": random_name(12)},
    )
    return PodSpec(f"ns-{random_name(6)}", f"pod-{random_name(6)}", (container,), {"app": random_name(6)})


def act(pod: Pod, *words: str | int) -> int:
    """Make a call in the pod's container; return its result."""
    return int(pod.run(f"{TOOLS}/act", *(str(word) for word in words)))
