"""Which cgroup names are containers, in the v2 tree and in the v1 hierarchies, for any runtime."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from watching import Watch

pytestmark = [pytest.mark.root, pytest.mark.sensor]

SCRIPT = """
import os, sys
for cgroup in sys.argv[2:]:
    open(cgroup + "/cgroup.procs", "w").write(str(os.getpid()))
open(sys.argv[1], "w").close()
os.unlink(sys.argv[1])
"""


def hierarchies() -> dict[str, Path]:
    """The v2 tree, and a v1 hierarchy where there is one."""
    base = Path("/sys/fs/cgroup")
    places = {"v2": base / "unified", "v1": base / "memory"}
    if (base / "cgroup.controllers").exists():
        places = {"v2": base}
    return {name: path for name, path in places.items() if (path / "cgroup.procs").exists()}


@pytest.fixture(params=["v2", "v1"])
def tree(request: pytest.FixtureRequest) -> Path:
    found = hierarchies().get(request.param)
    if found is None:
        pytest.skip(f"no cgroup {request.param} here")
    return found


@pytest.fixture
def made() -> Iterator[list[Path]]:
    """Cgroups to remove, in the order in which they were made."""
    paths: list[Path] = []
    yield paths
    for path in reversed(paths):
        path.rmdir()


def make(made: list[Path], path: Path) -> Path:
    path.mkdir()
    made.append(path)
    return path


def write_in(cgroup: Path, path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, str(path), str(cgroup)], check=True)


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "cri-containerd-{}.scope",
        "crio-{}.scope",
        "crio-{}",
        "docker-{}.scope",
        "libpod-{}.scope",
        "kubepods-burstable-pod1.slice:cri-containerd:{}",
    ],
)
def test_names_of_containers(watch: Watch, tree: Path, made: list[Path], tmp_path: Path, form: str) -> None:
    container = token_hex(32)
    write_in(make(made, tree / form.format(container)), tmp_path / container)
    seen = watch.wait(lambda o: o.kind == "open" and o.path == str(tmp_path / container))
    gone = watch.wait(lambda o: o.kind == "unlink" and o.path == str(tmp_path / container))
    assert (seen.container_id, seen.phase) == (container, "setup")
    assert gone.container_id == container


@pytest.mark.parametrize(
    "form",
    [
        "crio-conmon-{}.scope",
        "libpod-conmon-{}.scope",
        "{}0",
        "{}.slice",
        "pod{}",
        "x-{:.63}",
        "{:.63}G",
        "session-3.scope",
    ],
)
def test_names_of_others(watch: Watch, tree: Path, made: list[Path], tmp_path: Path, form: str) -> None:
    word = token_hex(32)
    write_in(make(made, tree / form.format(word)), tmp_path / word)
    assert not [o for o in watch.settle() if word in o.path]


def test_the_outermost_container_counts(watch: Watch, tree: Path, made: list[Path], tmp_path: Path) -> None:
    outer, inner = token_hex(32), token_hex(32)
    pod = make(made, make(made, tree / f"docker-{outer}.scope") / "kubepods")
    write_in(make(made, pod / inner), tmp_path / inner)
    seen = watch.wait(lambda o: o.kind == "open" and o.path == str(tmp_path / inner))
    assert seen.container_id == outer


def test_a_second_container_does_not_take_a_process_over(
    watch: Watch, tree: Path, made: list[Path], tmp_path: Path
) -> None:
    first, second = token_hex(32), token_hex(32)
    cgroups = [str(make(made, tree / name)) for name in (first, second)]
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "f"), *cgroups], check=True)
    seen = watch.wait(lambda o: o.kind == "open" and o.path == str(tmp_path / "f"))
    assert seen.container_id == first


def test_processes_there_before_the_sensor(tree: Path, made: list[Path], tmp_path: Path) -> None:
    from keelwatch.capture.ring import Sensor, SensorConfig

    container = token_hex(32)
    cgroup = make(made, tree / f"cri-containerd-{container}.scope")
    script = f"read go; echo > {tmp_path}/x"
    with subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE) as process:
        (cgroup / "cgroup.procs").write_text(str(process.pid))
        watch = Watch(Sensor.open(SensorConfig()))
        try:
            process.communicate(b"go\n")
            seen = watch.wait(lambda o: o.kind == "open" and o.path == f"{tmp_path}/x")
        finally:
            watch.close()
    assert seen.container_id == container
