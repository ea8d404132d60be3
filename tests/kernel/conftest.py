"""The real sensor, watched by a thread, and a pod whose container has a program for single calls."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keelwatch.capture.ring import Sensor, SensorConfig, problems
from keelwatch.decode.sensor import decode
from keelwatch.model.observation import Observation
from lab import Containerd, ContainerSpec, Kubelet, Pod, PodSpec
from lab.pod import Mount, random_name

SOURCE = Path(__file__).parent / "programs" / "act.c"
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


@pytest.fixture(scope="session")
def needs_sensor() -> None:
    if found := problems():
        pytest.skip(f"no sensor here: {'; '.join(found)}")


@pytest.fixture
def watch(needs_sensor: None) -> Iterator[Watch]:
    """A freshly loaded sensor."""
    made = Watch(Sensor.open(SensorConfig(environment=("KW_SHOWN", "PATH"))))
    yield made
    made.close()
    assert made.errors == 0


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the static program `act`."""
    folder = tmp_path_factory.mktemp("tools")
    options = ["-target", "x86_64-linux-musl", "-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *options, "-o", str(folder / "act"), str(SOURCE)], check=True
    )
    return folder


@pytest.fixture(scope="session")
def session_kubelet(lab_containerd: Containerd) -> Iterator[Kubelet]:
    made = Kubelet(lab_containerd.socket, lab_containerd.logs)
    yield made
    made.delete_all()
    made.close()


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


@pytest.fixture(scope="session")
def pod(session_kubelet: Kubelet, tools: Path) -> Pod:
    """One ordinary pod for all tests that do not end or change it."""
    return session_kubelet.run_pod(pod_spec(tools))


@pytest.fixture(scope="session")
def privileged_pod(session_kubelet: Kubelet, tools: Path) -> Pod:
    return session_kubelet.run_pod(pod_spec(tools, privileged=True))


@pytest.fixture
def name() -> str:
    """A file name that no other test has."""
    return f"{random_name(8)}.{os.getpid()}"


def act(pod: Pod, *words: str | int) -> int:
    """Make a call in the pod's container; return its result."""
    return int(pod.run(f"{TOOLS}/act", *(str(word) for word in words)))
