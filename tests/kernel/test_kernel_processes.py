"""Process, namespace, mount, ptrace and module probes, each acting inside a container made over CRI."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest
from watching import TOOLS, Watch, act

from keelwatch.model.observation import Observation
from lab import Pod

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
NEW_UTS = 0x04000000
NEW_USER = 0x10000000
ACT = f"{TOOLS}/act"
TOOLBOX = "/usr/local/bin/toolbox"


def in_container(pod: Pod, seen: Observation, source: str = "") -> Observation:
    assert seen.container_id == pod.container.id
    assert seen.path_source == source
    assert seen.phase == "run"
    return seen


def test_exec(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"cd /etc && exec busybox echo {name}")
    seen = watch.wait(lambda o: o.kind == "exec" and o.argv == ("busybox", "echo", name))
    in_container(pod, seen, "kernel")
    assert (seen.syscall, seen.result, seen.path, seen.cwd) == ("execve", 0, "/bin/busybox", "/etc")
    assert (seen.overlay, seen.upper, seen.memfd) == (True, False, False)
    assert (seen.uid, seen.euid, seen.gid, seen.tty) == (0, 0, 0, 0)
    assert seen.capabilities
    assert seen.mode == 0o100755
    assert seen.inode
    assert seen.mtime > 10**18
    assert seen.size == Path("/bin/busybox").stat().st_size


def test_exec_shows_only_the_variables_that_are_allowed(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"KW_LONG=$(head -c 5000 /dev/zero | tr '\\0' x) KW_SHOWN_NOT=1 busybox echo {name}")
    seen = watch.wait(lambda o: o.kind == "exec" and name in o.argv)
    env = pod.container.spec.env
    assert seen.environment["KW_SHOWN"] == env["KW_SHOWN"]
    assert set(seen.environment) == {"KW_SHOWN", "PATH"}


def test_exec_of_a_copied_file_lies_in_the_upper_layer(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"cp {TOOLBOX} /tmp/{name}; /tmp/{name} sleep 0")
    seen = in_container(pod, watch.wait(lambda o: o.kind == "exec" and o.path == f"/tmp/{name}"), "kernel")
    assert (seen.upper, seen.overlay) == (True, True)


def test_exec_from_a_memfd(watch: Watch, pod: Pod, name: str) -> None:
    pod.run("toolbox", "memfd", TOOLBOX, name, "sleep", "0")
    seen = watch.wait(lambda o: o.kind == "exec" and o.memfd)
    in_container(pod, seen, "kernel")
    assert seen.path == f"memfd:{name}"


def test_execveat(watch: Watch, pod: Pod, name: str) -> None:
    # Without arguments the program only says how it is used.
    argv = [ACT, "call", "322", f"o:{TOOLBOX}", "s:", "0", "0", str(AT_EMPTY_PATH)]
    assert pod.exec(pod.container.name, argv)[0] == 2
    seen = watch.wait(lambda o: o.kind == "exec" and o.path == TOOLBOX and o.syscall == "execveat")
    in_container(pod, seen, "kernel")


def test_a_file_called_like_a_memfd_is_none(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"cp {TOOLBOX} /tmp/memfd:{name}; /tmp/memfd:{name} sleep 0")
    seen = watch.wait(lambda o: o.kind == "exec" and o.path == f"/tmp/memfd:{name}")
    assert not seen.memfd


def test_exec_of_a_script(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"cd /tmp; printf '#!/bin/sh\\ntrue\\n' > {name}; chmod +x {name}; ./{name} word")
    seen = watch.wait(lambda o: o.kind == "exec" and o.script.endswith(name))
    in_container(pod, seen, "kernel")
    assert (seen.path, seen.script) == ("/bin/busybox", f"/tmp/{name}")
    assert seen.argv == ("/bin/sh", f"./{name}", "word")


def test_a_refused_exec(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"echo > /tmp/{name}; chmod 644 /tmp/{name}")
    assert act(pod, "call", 59, f"s:/tmp/{name}", 0, 0) == -errno.EACCES
    seen = watch.wait(lambda o: o.kind == "exec" and o.path == f"/tmp/{name}")
    in_container(pod, seen, "user")
    assert (seen.syscall, seen.result) == ("execve", -errno.EACCES)


def test_a_refused_execveat(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"echo > /tmp/{name}; chmod 644 /tmp/{name}")
    assert act(pod, "call", 322, "n:/tmp", f"s:{name}", 0, 0, 0) == -errno.EACCES
    seen = watch.wait(lambda o: o.kind == "exec" and o.path == f"/tmp/{name}")
    assert (seen.syscall, seen.path_source) == ("execveat", "user")


def test_a_command_line_of_a_megabyte(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(
        f'w=$(head -c 100000 /dev/zero | tr "\\0" x); toolbox sleep 0 {name} $w $w $w $w $w $w $w $w $w $w'
    )
    seen = watch.wait(lambda o: o.kind == "exec" and name in o.argv)
    assert seen.truncated
    assert 16000 < sum(len(word) for word in seen.argv) <= 16384
    assert watch.sensor.losses()["exec", "truncated"] >= 1
    in_container(pod, seen, "kernel")


def test_fork_and_exit(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"(exit 3); busybox echo {name}")
    shell = watch.wait(lambda o: o.kind == "exec" and any(name in word for word in o.argv))
    fork = watch.wait(lambda o: o.kind == "fork" and o.pid == shell.pid)
    ended = watch.wait(lambda o: o.kind == "exit" and o.pid == fork.child_pid)
    assert (fork.container_id, fork.phase, fork.flags) == (pod.container.id, "run", 0)
    assert (ended.start, ended.ppid, ended.parent_start) == (fork.child_start, shell.pid, shell.start)
    assert os.waitstatus_to_exitcode(ended.exit_code) == 3
    assert fork.syscall in {"clone", "fork", "vfork"}
    assert ended.container_id == pod.container.id


def test_an_exit_by_a_signal(watch: Watch, pod: Pod) -> None:
    pod.shell("busybox sleep 50 & p=$!; kill -9 $p; wait $p; true")
    seen = watch.wait(lambda o: o.kind == "exit" and o.exit_code & 0x7F == signal.SIGKILL)
    assert seen.container_id == pod.container.id


def test_a_child_born_in_new_namespaces(watch: Watch, pod: Pod) -> None:
    pod.run(ACT, "x", "clone")
    seen = watch.wait(lambda o: o.kind == "fork" and o.comm == "act")
    assert seen.container_id == pod.container.id
    assert seen.flags == NEW_USER | NEW_UTS


def test_unshare(watch: Watch, privileged_pod: Pod) -> None:
    assert act(privileged_pod, "call", 272, NEW_UTS) == 0
    seen = watch.wait(lambda o: o.kind == "unshare" and o.comm == "act")
    in_container(privileged_pod, seen)
    assert (seen.syscall, seen.result, seen.flags) == ("unshare", 0, NEW_UTS)


def test_a_refused_unshare_through_the_32_bit_gate(watch: Watch, pod: Pod) -> None:
    assert act(pod, "int80", 310, NEW_UTS) == -errno.EPERM
    seen = watch.wait(lambda o: o.kind == "unshare" and o.comm == "act")
    assert (seen.syscall, seen.result) == ("unshare", -errno.EPERM)


def test_setns(watch: Watch, privileged_pod: Pod) -> None:
    assert act(privileged_pod, "call", 308, "o:/proc/self/ns/uts", 0) == 0
    seen = watch.wait(lambda o: o.kind == "setns" and o.comm == "act")
    in_container(privileged_pod, seen, "kernel")
    inode = privileged_pod.run("readlink", "/proc/self/ns/uts").strip()
    assert (seen.path, seen.flags, seen.result) == (inode, NEW_UTS, 0)


def test_setns_by_a_process(watch: Watch, privileged_pod: Pod) -> None:
    assert act(privileged_pod, "x", "pidfd") == 0
    seen = in_container(privileged_pod, watch.wait(lambda o: o.kind == "setns" and o.comm == "act"))
    child = watch.wait(lambda o: o.kind == "fork" and o.pid == seen.pid)
    assert (seen.result, seen.flags, seen.target_pid) == (0, NEW_UTS, child.child_pid)


def test_a_refused_setns(watch: Watch, pod: Pod) -> None:
    assert act(pod, "call", 308, "o:/proc/1/ns/mnt", 0) == -errno.EPERM
    seen = watch.wait(lambda o: o.kind == "setns" and o.comm == "act")
    in_container(pod, seen, "kernel")
    assert seen.result == -errno.EPERM
    assert seen.path.startswith("mnt:[")


def test_mount(watch: Watch, privileged_pod: Pod, name: str) -> None:
    privileged_pod.shell(f"mkdir /tmp/{name}")
    assert act(privileged_pod, "call", 165, f"s:src-{name}", f"s:/tmp/{name}", "s:tmpfs", 4, 0) == 0
    seen = watch.wait(lambda o: o.kind == "mount" and o.path == f"/tmp/{name}")
    in_container(privileged_pod, seen, "user")
    assert (seen.syscall, seen.source, seen.filesystem) == ("mount", f"src-{name}", "tmpfs")
    assert (seen.flags, seen.result) == (4, 0)


def test_a_refused_mount(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"mkdir /tmp/{name}")
    assert act(pod, "call", 165, "s:x", f"s:/tmp/{name}", "s:tmpfs", 0, 0) == -errno.EPERM
    seen = watch.wait(lambda o: o.kind == "mount" and o.path == f"/tmp/{name}")
    assert seen.result == -errno.EPERM


@pytest.mark.parametrize(("syscall", "number"), [("pivot_root", 155), ("move_mount", 429)])
def test_other_ways_to_mount(watch: Watch, pod: Pod, name: str, syscall: str, number: int) -> None:
    arguments = (
        [f"s:/tmp/{name}", f"s:/tmp/{name}"]
        if syscall == "pivot_root"
        else [AT_FDCWD, "s:/etc", AT_FDCWD, f"s:/tmp/{name}", 0]
    )
    assert act(pod, "call", number, *arguments) < 0
    seen = watch.wait(lambda o: o.kind == "mount" and o.syscall == syscall and o.comm == "act")
    assert (seen.path, seen.path_source) == (f"/tmp/{name}", "user")
    assert seen.container_id == pod.container.id


def test_ptrace(watch: Watch, pod: Pod) -> None:
    assert act(pod, "x", "ptrace") == 0
    attach = watch.wait(lambda o: o.kind == "ptrace" and o.request == 16)
    child = watch.wait(lambda o: o.kind == "fork" and o.pid == attach.pid)
    in_container(pod, attach)
    assert (attach.syscall, attach.result, attach.target_pid) == ("ptrace", 0, child.child_pid)
    poke = watch.wait(lambda o: o.kind == "ptrace" and o.request == 5)
    assert poke.target_pid == child.child_pid


def test_writing_into_another_process(watch: Watch, pod: Pod) -> None:
    assert act(pod, "x", "writev") == 8
    seen = watch.wait(lambda o: o.kind == "ptrace" and o.comm == "act")
    in_container(pod, seen)
    assert (seen.syscall, seen.result) == ("process_vm_writev", 8)


@pytest.mark.parametrize("module", ["init_module", "finit_module"])
def test_module(watch: Watch, privileged_pod: Pod, name: str, module: str) -> None:
    """Nothing is loaded: the image is no module, or the kernel takes none. The attempt is what counts."""
    privileged_pod.shell(f"echo > /tmp/{name}.ko")
    if module == "init_module":
        result = act(privileged_pod, "call", 175, 0, 0, "s:")
    else:
        result = act(privileged_pod, "call", 313, f"o:/tmp/{name}.ko", "s:", 0)
    assert result < 0
    seen = watch.wait(lambda o: o.kind == "module" and o.comm == "act")
    assert (seen.syscall, seen.result) == (module, result)
    in_container(privileged_pod, seen, "kernel" if module == "finit_module" else "")
    assert seen.path == (f"/tmp/{name}.ko" if module == "finit_module" else "")
