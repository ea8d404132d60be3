"""Whose event it is: set-up and run, the writer behind a redirection, the host, and who leaves."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from watching import TOOLS, Watch, act, pod_spec

from keelwatch.capture.ring import Sensor, SensorConfig
from lab import Kubelet, Pod

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

TOOLBOX = "/usr/local/bin/toolbox"


def test_writer_chmoder_and_executor_are_three_processes(watch: Watch, pod: Pod, name: str) -> None:
    """The shell opens the file; what writes it is a program that only inherited the descriptor."""
    path = f"/tmp/{name}"
    pod.shell(f"busybox cat {TOOLBOX} > {path}; busybox chmod 755 {path}; {path} sleep 0")
    written = watch.wait(lambda o: o.kind == "inherit" and o.path == path)
    chmod = watch.wait(lambda o: o.kind == "chmod" and o.path == path)
    run = watch.wait(lambda o: o.kind == "exec" and o.path == path)
    opened = watch.wait(lambda o: o.kind == "open" and o.path == path)
    writer = watch.wait(lambda o: o.kind == "exec" and o.pid == written.pid)
    assert writer.argv == ("busybox", "cat", TOOLBOX)
    assert written.descriptor == 1
    assert len({written.pid, chmod.pid, run.pid}) == 3
    assert (written.device, written.inode) == (opened.device, opened.inode) == (run.device, run.inode)
    assert opened.created
    for seen in (written, chmod, run, opened):
        assert seen.container_id == pod.container.id
        assert seen.phase == "run"
    assert [written.path_source, run.path_source, chmod.path_source] == ["kernel", "kernel", "user"]


def test_a_container_is_known_from_its_first_program_on(
    watch: Watch, session_kubelet: Kubelet, tools: Path
) -> None:
    pod = session_kubelet.run_pod(pod_spec(tools))
    try:
        mine = [pod.container.id, "run"]
        entry = watch.wait(lambda o: o.kind == "exec" and [o.container_id, o.phase] == mine)
        assert entry.argv[:2] == ("toolbox", "sleep")
        before = [o for o in watch.settle() if o.container_id == pod.container.id and o.time < entry.time]
        assert {o.phase for o in before} == {"setup"}
        assert {o.kind for o in before} >= {"mount", "unshare"}
        assert {o.path for o in before if o.syscall == "pivot_root"}
    finally:
        pod.delete()


def test_an_exec_into_a_container_is_setup_until_its_command(watch: Watch, pod: Pod, name: str) -> None:
    pod.run("busybox", "echo", name)
    command = watch.wait(lambda o: o.kind == "exec" and name in o.argv)
    earlier = [o for o in watch.settle() if o.pid == command.pid and o.time < command.time]
    assert command.phase == "run"
    assert {o.phase for o in earlier} <= {"setup"}


def test_containers_that_ran_before_the_sensor_are_known(watch: Watch, pod: Pod) -> None:
    os.kill(pod.pid(), 0)
    script = (
        f"trap '{TOOLS}/act call 2 s:/tmp/by-trap 65 420; exit' USR1; while :; do busybox sleep 0.1; done"
    )
    pod.exec(pod.container.name, ["/bin/sh", "-c", f"({script}) > /dev/null 2>&1 < /dev/null & echo $!"])
    sleeper = watch.wait(lambda o: o.kind == "exec" and o.argv == ("busybox", "sleep", "0.1"))
    second = Watch(Sensor.open(SensorConfig()))
    try:
        os.kill(sleeper.ppid, 10)
        seen = second.wait(lambda o: o.kind == "open" and o.path == "/tmp/by-trap")
        assert (seen.container_id, seen.phase) == (pod.container.id, "run")
    finally:
        second.close()


def test_the_host_is_not_reported(watch: Watch, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    (tmp_path / name).chmod(0o755)
    (tmp_path / name).unlink()
    subprocess.run(["/bin/true", name], check=True)
    assert not [o for o in watch.settle() if name in o.path or name in o.argv]


def test_a_host_process_that_writes_into_a_container_is_reported(watch: Watch, pod: Pod, name: str) -> None:
    root = Path(f"/proc/{pod.pid()}/root")
    (root / "tmp" / name).write_text("from outside")
    inside = act(pod, "call", 2, f"s:/tmp/{name}", 1)
    assert inside >= 0
    seen = watch.wait(lambda o: o.kind == "open" and o.path.endswith(f"/tmp/{name}") and not o.container_id)
    own = watch.wait(lambda o: o.kind == "open" and o.path == f"/tmp/{name}" and o.comm == "act")
    assert seen.pid == os.getpid()
    assert (seen.overlay, seen.upper, seen.path_source) == (True, True, "kernel")
    assert (seen.device, seen.inode) == (own.device, own.inode)


def test_a_host_process_that_stands_in_a_container_is_reported(watch: Watch, pod: Pod, name: str) -> None:
    folder = f"/proc/{pod.pid()}/root/tmp"
    (Path(folder) / name).write_text("")
    subprocess.run(
        ["/bin/sh", "-c", f"chmod 755 {name}; mv {name} {name}.2; rm {name}.2"], cwd=folder, check=True
    )
    for kind in ("chmod", "rename", "unlink"):
        seen = watch.wait(lambda o, kind=kind: o.kind == kind and name in o.path)  # type: ignore[misc]
        assert (seen.container_id, seen.overlay, seen.path_source) == ("", True, "user")
        assert seen.device


def test_a_host_process_that_stands_in_a_container_and_acts_elsewhere_is_not(
    watch: Watch, pod: Pod, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("")
    subprocess.run(["/bin/rm", str(tmp_path / name)], cwd=f"/proc/{pod.pid()}/root/tmp", check=True)
    assert not [o for o in watch.settle() if name in o.path]


def test_a_host_process_that_runs_a_containers_program_is_reported(watch: Watch, pod: Pod, name: str) -> None:
    subprocess.run([f"/proc/{pod.pid()}/root/bin/busybox", "echo", name], check=True)
    seen = watch.wait(lambda o: o.kind == "exec" and name in o.argv)
    assert (seen.container_id, seen.overlay) == ("", True)


@pytest.fixture
def foreign_cgroup(name: str) -> Iterator[Path]:
    """A cgroup of the host, in every hierarchy that has a memory controller or is the v2 tree."""
    roots = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
    root = next(r for r in roots if (r / "cgroup.procs").exists())
    made = root / f"host-{name}"
    made.mkdir()
    yield made
    for pid in (made / "cgroup.procs").read_text().split():
        (root / "cgroup.procs").write_text(pid)
    made.rmdir()


def test_who_leaves_the_containers_cgroup_stays_the_containers(
    watch: Watch, pod: Pod, name: str, foreign_cgroup: Path
) -> None:
    go = f"/tmp/{name}.go"
    script = f"while [ ! -e {go} ]; do busybox sleep 0.1; done; echo > /tmp/{name}"
    pod.shell(f"({script}) > /dev/null 2>&1 < /dev/null &")
    sleeper = watch.wait(lambda o: o.kind == "exec" and o.argv == ("busybox", "sleep", "0.1"))
    (foreign_cgroup / "cgroup.procs").write_text(str(sleeper.ppid))
    act(pod, "call", 2, f"s:{go}", 65, 420)
    seen = watch.wait(lambda o: o.kind == "open" and o.path == f"/tmp/{name}")
    assert seen.container_id == pod.container.id


def test_who_enters_the_hosts_namespaces_stays_the_containers(
    watch: Watch, session_kubelet: Kubelet, tools: Path, name: str, tmp_path: Path
) -> None:
    """A break-out: what is done outside is still the container's doing, and its path is the host's."""
    spec = dataclasses.replace(pod_spec(tools, privileged=True), host_pid=True)
    pod = session_kubelet.run_pod(spec)
    try:
        outside = tmp_path / name
        pod.run("toolbox", "setns", str(os.getpid()), "mnt", "/bin/sh", "-c", f"echo > {outside}")
        assert outside.exists()
        entered = watch.wait(lambda o: o.kind == "setns" and o.comm == "toolbox")
        seen = watch.wait(lambda o: o.kind == "open" and o.path == str(outside))
        assert {entered.container_id, seen.container_id} == {pod.container.id}
        assert {entered.phase, seen.phase} == {"run"}
        assert not seen.upper
    finally:
        pod.delete()


def _appears(path: Path) -> bool:
    end = time.monotonic() + 3
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return path.exists()


def test_a_child_of_the_kernel_is_reported(watch: Watch, tmp_path: Path, name: str) -> None:
    """core_pattern's pipe handler is started by the kernel, on the host, whoever crashed."""
    pattern = Path("/proc/sys/kernel/core_pattern")
    old = pattern.read_text()
    helper = tmp_path / name
    helper.write_text(f"#!/bin/sh\ncat > /dev/null\necho > {tmp_path}/{name}.ran\n")
    helper.chmod(0o755)
    try:
        pattern.write_text(f"|{helper} %p")
        subprocess.run(["/bin/sh", "-c", "ulimit -c unlimited; kill -SEGV $$"])
        if not _appears(tmp_path / f"{name}.ran"):
            pytest.skip("the kernel did not run the helper: it looks for it below another root directory")
        seen = watch.wait(lambda o: o.kind == "exec" and o.script == str(helper))
        later = watch.wait(lambda o: o.kind == "open" and o.path == f"{tmp_path}/{name}.ran")
    finally:
        pattern.write_text(old)
    assert (seen.container_id, later.container_id, later.pid) == ("", "", seen.pid)
