"""Scripts by any path, links in it or not, and programs: what the image has is the image's."""

from __future__ import annotations

import pytest

from lab import Kubelet, sleeping_pod
from lab.stack import Record, Stack
from tests.stack_support import settle

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

STEPS = (
    "ln -s /usr/local/bin /linked",
    "/linked/healthcheck",  # ends before it can be looked at
    "for n in 1 2 3 4 5; do /usr/local/bin/healthcheck; done",
    "chown 0:0 /usr/local/bin/healthcheck && /linked/healthcheck",
    "printf '#!/bin/sh\\nsleep 0.3\\n' > /usr/local/bin/mine; chmod +x /usr/local/bin/mine; /linked/mine",
    "cp /bin/busybox /usr/local/bin/sleep; /linked/sleep 0.3",
    "cp /bin/busybox /fast; chmod +x /fast; /fast true; rm /fast",
)


@pytest.fixture(scope="module")
def runs(stack: Stack, module_kubelet: Kubelet) -> list[Record]:
    pod = module_kubelet.run_pod(sleeping_pod())
    for step in STEPS:
        if step.startswith("chown"):  # it changes the file's ctime: what ran before must be examined by then
            stack.wait_for(
                lambda: _runs_of(stack, pod.namespace, "healthcheck") == 6, 30, "not all runs are seen"
            )
        pod.shell(step)
    settle(stack, module_kubelet)
    return stack.records("events", namespace=pod.namespace, kind="exec")


def _runs_of(stack: Stack, namespace: str, script: str) -> int:
    runs = stack.records("events", namespace=namespace, kind="exec")
    return sum(run["path"].endswith(f"/{script}") for run in runs)


def drifts(runs: list[Record], path: str) -> list[str]:
    return [run["drift"] for run in runs if path in (run["path"], run["process"].get("script"))]


@pytest.mark.parametrize("path", ["/linked/healthcheck", "/usr/local/bin/healthcheck"])
def test_a_script_of_the_image_is_the_images(runs: list[Record], path: str) -> None:
    found = drifts(runs, path)
    assert found
    assert set(found) == {"image"}


@pytest.mark.parametrize("path", ["/linked/mine", "/usr/local/bin/sleep"])
def test_what_the_container_wrote_is_new(runs: list[Record], path: str) -> None:
    assert drifts(runs, path) == ["new"]


def test_a_program_that_deletes_itself_at_once_is_drift_whatever_was_seen(runs: list[Record]) -> None:
    assert drifts(runs, "/fast") in (["new"], ["gone"])
