"""The lab itself: pods run as the kubelet would run them, and nothing is left behind."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from lab import Containerd, ContainerSpec, Deployment, Kubelet, Mount, Pod, PodSpec, attack, sweep

pytestmark = [pytest.mark.root, pytest.mark.containers]
ROOT = Path(__file__).parent.parent.parent


def traces_of(directory: Path, pod_uids: list[str]) -> list[str]:
    """Everything on the machine that still names the lab directory or its pods."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line for line in mounts if str(directory) in line]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].startswith(b"containerd") and str(directory).encode() in b" ".join(words):
            found.append(str(words))
    for tree in sweep.hierarchies():
        found += [str(path) for uid in pod_uids for path in [tree / sweep.pod_folder(uid)] if path.exists()]
    return found + ([str(directory)] if directory.exists() else [])


def test_a_pod_runs_with_the_kubelets_cgroup_log_and_labels(kubelet: Kubelet, cri_pod: Pod) -> None:
    pid = cri_pod.pid()
    cgroup = f"/lab/kubepods/burstable/pod{cri_pod.uid}/{cri_pod.container.id}"
    assert cgroup in Path(f"/proc/{pid}/cgroup").read_text()
    status = kubelet.status(cri_pod.container.id)
    assert status.labels["io.kubernetes.pod.name"] == cri_pod.name
    assert status.annotations["io.kubernetes.container.restartCount"] == "0"
    assert Path(status.log_path) == cri_pod.container.log


def test_exec_gives_code_and_both_streams(cri_pod: Pod) -> None:
    outcome = cri_pod.exec(cri_pod.container.name, ["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert outcome == (7, b"out\n", b"err\n")


def test_a_deployment_makes_pods_as_a_replica_set_names_them(kubelet: Kubelet) -> None:
    deployment = Deployment("shop", "checkout")
    pods = kubelet.run_deployment(deployment)
    assert len({pod.name for pod in pods}) == 2
    for pod in pods:
        assert pod.name.startswith(f"checkout-{deployment.template_hash}-")
        assert pod.spec.labels["pod-template-hash"] == deployment.template_hash


def test_rotation_renames_and_later_compresses(kubelet: Kubelet) -> None:
    spec = ContainerSpec("log", command=("loggen", "-r", "200", "-p", "line"))
    pod = kubelet.run_pod(PodSpec("ns", "rotating", (spec,)))
    time.sleep(0.2)
    first = pod.rotate_logs("log")
    time.sleep(0.2)
    second = pod.rotate_logs("log")
    time.sleep(0.2)
    assert not first.exists()
    lines = gzip.decompress(first.with_name(first.name + ".gz").read_bytes()).decode()
    lines += second.read_text() + pod.container.log.read_text()
    numbers = [int(line.split()[4]) for line in lines.splitlines()]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert len(numbers) > 50


def test_a_restart_counts_up_and_keeps_the_old_log(kubelet: Kubelet, cri_pod: Pod) -> None:
    before = cri_pod.container
    after = cri_pod.restart_container(before.name)
    assert (after.restart, after.log.name) == (1, "1.log")
    assert before.log.exists()
    cri_pod.restart_container(before.name)
    assert not before.log.exists()


def test_mounts_users_and_privilege(kubelet: Kubelet, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    tmp_path.chmod(0o755)
    sleep = ("toolbox", "sleep", "1000")
    mounted = ContainerSpec("a", command=sleep, mounts=(Mount(tmp_path, "/data", readonly=True),), user=1000)
    strong = ContainerSpec("b", command=sleep, privileged=True)
    pod = kubelet.run_pod(PodSpec("ns", "two", (mounted, strong)))
    assert pod.exec("a", ["cat", "/data/note"])[1] == b"hello"
    assert pod.exec("a", ["id", "-u"])[1] == b"1000\n"
    assert pod.exec("a", ["touch", "/data/new"])[0] != 0
    assert pod.exec("b", ["mount", "-t", "tmpfs", "none", "/tmp"])[0] == 0


def test_deletion_removes_container_log_and_cgroup(kubelet: Kubelet, cri_pod: Pod) -> None:
    logs, uid = cri_pod.logs, cri_pod.uid
    cri_pod.delete(grace=0, linger=0)
    assert not logs.exists()
    assert traces_of(logs, [uid]) == []


def test_stop_leaves_nothing_even_with_pods_running() -> None:
    containerd = Containerd()
    containerd.start()
    kubelet = Kubelet(containerd.socket, containerd.logs)
    pods = kubelet.run_deployment(Deployment("shop", "checkout"))
    kubelet.close()
    assert traces_of(containerd.directory, [pod.uid for pod in pods])
    containerd.stop()
    assert traces_of(containerd.directory, [pod.uid for pod in pods]) == []


def test_a_killed_lab_is_swept_at_the_next_start() -> None:
    script = """
        import sys, time
        from lab import Containerd, Deployment, Kubelet
        containerd = Containerd(sys.argv[1]).start()
        pods = Kubelet(containerd.socket, containerd.logs).run_deployment(Deployment("shop", "checkout"))
        print(containerd.directory, *[pod.uid for pod in pods], *[pod.pid() for pod in pods], flush=True)
        time.sleep(100)
    """
    lab_directory = Path(tempfile.mkdtemp()) / f"{sweep.PREFIX}x"  # where no other session sweeps
    command = [sys.executable, "-c", textwrap.dedent(script), str(lab_directory)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    words = child.stdout.readline().split()
    child.send_signal(signal.SIGKILL)
    child.wait()
    directory, uids, pids = Path(words[0]), words[1:3], [int(word) for word in words[3:]]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert sweep.sweep_abandoned(directory.parent) == [directory]
    assert traces_of(directory, uids) == []
    assert not any(Path(f"/proc/{pid}/root/bin").exists() for pid in pids)


def test_a_living_lab_is_not_swept(lab_containerd: Containerd) -> None:
    assert lab_containerd.directory not in sweep.sweep_abandoned(lab_containerd.directory.parent)
    assert lab_containerd.socket.exists()


def test_every_step_of_the_attack_does_what_it_says(kubelet: Kubelet) -> None:
    pod = kubelet.run_deployment(Deployment("shop", "checkout", 1))[0]
    outcomes = attack.run(pod)
    assert [outcome.step.name for outcome in outcomes if not outcome.ok] == []
    paths = {outcome.step.name: outcome.step.path for outcome in outcomes}
    assert pod.run(paths["new-binary"], "sleep", "0") == ""
    assert "::0:0::/root:/bin/sh" in pod.run("cat", "/etc/passwd")
    assert pod.run(paths["modified-file"]) != "ok\n"


def test_two_attacks_share_no_name() -> None:
    first, second = ({step.script for step in attack.steps()} for _ in range(2))
    assert len(first & second) == 2  # the namespace steps name nothing
