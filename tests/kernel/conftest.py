"""The real sensor, watched by a thread, and a pod whose container has a program for single calls."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from watching import Watch, pod_spec

from keelwatch.capture.ring import Sensor, SensorConfig, problems
from lab import CriRuntime, Kubelet, Pod
from lab.pod import random_name

SOURCE = Path(__file__).parent / "programs" / "act.c"


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
def session_kubelet(lab_runtime: CriRuntime) -> Iterator[Kubelet]:
    made = Kubelet(lab_runtime.socket, lab_runtime.logs)
    yield made
    made.delete_all()
    made.close()


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
