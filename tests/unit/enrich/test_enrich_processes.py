"""The process tree, fed with observations and with this machine's own /proc."""

import os
import subprocess
import sys

from keelwatch.enrich import procfs
from keelwatch.enrich.processes import ProcessTree
from keelwatch.enrich.runtime.cgroups import outermost
from keelwatch.model.observation import Observation
from keelwatch.model.process import MAX_ANCESTORS

CONTAINER = "ab" * 32
SECOND = 1_000_000_000


def seen(kind, pid, start, ppid=0, parent_start=0, time=0, **more):
    fields = dict(
        kind=kind, time=time, syscall="", result=0, pid=pid, tid=pid, start=start, ppid=ppid,
        parent_start=parent_start, uid=0, euid=0, gid=0, loginuid=-1, comm="", container_id=CONTAINER,
        cgroup_id=1, mount_ns=1, phase="run",
    )  # fmt: skip
    return Observation(**(fields | more))


def test_exec_after_fork_keeps_the_parents_image_at_the_time_of_the_fork():
    tree = ProcessTree()
    tree.apply(seen("exec", 10_000_001, SECOND, path="/bin/sh", comm="sh", argv=("sh",)))
    tree.apply(seen("fork", 10_000_001, SECOND, child_pid=10_000_002, child_start=2 * SECOND))
    child = tree.apply(seen("exec", 10_000_002, 2 * SECOND, path="/bin/cat", comm="cat", argv=("cat", "x")))
    tree.apply(seen("exec", 10_000_001, SECOND, path="/bin/nc", comm="nc", argv=("nc",)))
    assert [p.comm for p in child.ancestors()] == ["sh"]
    assert child.cmdline == "cat x"
    assert tree.get(10_000_001).comm == "nc"


def test_a_reused_pid_is_another_process():
    tree = ProcessTree()
    first = tree.apply(seen("exec", 10_000_001, SECOND, path="/bin/old", comm="old"))
    second = tree.apply(seen("open", 10_000_001, 9 * SECOND, comm="new"))
    assert second is not first
    assert second.exe == ""
    assert second.comm == "new"


def test_ancestry_of_this_very_process_is_read_from_proc():
    tree = ProcessTree()
    tree.seed()
    me = tree.get(os.getpid())
    assert me.exe == os.path.realpath("/proc/self/exe")
    assert me.parent.pid == os.getppid()
    assert me.ancestors()[-1].pid == 1 or len(me.ancestors()) == MAX_ANCESTORS


def test_a_child_of_an_unseen_host_process_gets_that_parent_from_proc():
    parent = procfs.read_process(os.getpid())
    tree = ProcessTree()
    child = tree.apply(seen("exec", 10_000_001, SECOND, ppid=parent.pid, parent_start=parent.start, comm="x"))
    assert child.parent.pid == os.getpid()
    assert child.parent.argv == parent.argv


def test_a_chain_of_dead_parents_does_not_grow_without_end():
    tree = ProcessTree()
    tree.apply(seen("exec", 10_000_000, SECOND, path="/bin/worm", comm="worm"))
    for n in range(1, 500):
        tree.apply(
            seen("fork", 9_999_999 + n, n * SECOND, child_pid=10_000_000 + n, child_start=(n + 1) * SECOND)
        )
        tree.apply(seen("exit", 9_999_999 + n, n * SECOND))
    last = tree.get(10_000_499)
    depth = 0
    while last is not None:
        depth, last = depth + 1, last.parent
    assert depth <= MAX_ANCESTORS + 2
    assert len(tree) == 1


def test_the_last_process_of_a_tree_is_told_from_the_others():
    tree = ProcessTree()
    tree.apply(seen("exec", 10_000_001, SECOND, path="/bin/sh", comm="sh"))
    tree.apply(seen("fork", 10_000_001, SECOND, child_pid=10_000_002, child_start=2 * SECOND))
    tree.apply(seen("exec", 10_000_003, 3 * SECOND, path="/bin/ls", comm="ls"))  # another entry
    shell = tree.apply(seen("exit", 10_000_001, SECOND))
    assert not tree.was_last(shell)
    child = tree.apply(seen("exit", 10_000_002, 2 * SECOND))
    assert tree.was_last(child)
    assert (child.entry_pid, child.entry_start) == (10_000_001, SECOND)
    other = tree.apply(seen("exit", 10_000_003, 3 * SECOND))
    assert tree.was_last(other)


def test_the_end_of_a_host_process_is_no_trees():
    tree = ProcessTree()
    alone = tree.apply(seen("exit", 10_000_001, SECOND, container_id=""))
    assert not tree.was_last(alone)


def test_sweep_forgets_host_processes_that_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        tree = ProcessTree()
        tree.seed()
        assert tree.get(child.pid) is not None
        child.communicate(b"\n")
    tree.sweep()
    assert tree.get(child.pid) is not None, "a record of it may still be on its way"
    tree.sweep()
    assert tree.get(child.pid) is None


def test_sweep_forgets_container_processes_whose_end_was_lost():
    tree = ProcessTree()
    tree.apply(seen("exec", 10_000_001, SECOND, path="/bin/sh", comm="sh"))
    tree.sweep()
    tree.sweep()
    assert len(tree) == 0


def test_a_program_run_by_its_own_link_is_called_by_what_it_was_asked_for():
    tree = ProcessTree()
    cat = tree.apply(
        seen("exec", 10_000_001, SECOND, path="/bin/busybox", comm="exe", argv=("/bin/cat", "x"))
    )
    assert cat.comm == "cat"


def test_what_a_record_says_does_not_change_with_the_process():
    tree = ProcessTree()
    tree.apply(seen("exec", 10_000_001, SECOND, path="/bin/sh", comm="sh", uid=1000))
    before = tree.apply(seen("open", 10_000_001, SECOND, comm="sh", uid=1000))
    after = tree.apply(seen("open", 10_000_001, SECOND, comm="renamed", uid=0))
    assert (before.uid, before.comm) == (1000, "sh")
    assert (after.uid, after.comm, after.exe) == (0, "renamed", "/bin/sh")


def test_container_of_takes_the_outermost_id():
    inner, outer = "cd" * 32, "ef" * 32
    text = f"1:name=systemd:/kubepods/burstable/pod1/{outer}/docker/{inner}\n0::/\n"
    assert outermost(text) == outer
    assert outermost(f"0::/system.slice/docker-{inner}.scope") == inner
    assert outermost(f"0::/x/crio-conmon-{inner}.scope") == ""
    assert outermost("0::/user.slice") == ""


def test_an_orphan_is_given_to_whoever_still_runs_not_to_the_runtime_that_ended():
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as runtime:
        at = procfs.read_process(runtime.pid)
        tree = ProcessTree()
        first = tree.apply(
            seen("exec", 10_000_001, SECOND, ppid=at.pid, parent_start=at.start, path="/bin/app", comm="app")
        )
        runtime.communicate(b"\n")
    later = tree.apply(
        seen("exec", 10_000_002, 2 * SECOND, ppid=10_000_009, parent_start=SECOND, path="/bin/sh", comm="sh")
    )
    assert first.parent.pid == at.pid
    assert later.parent.pid == os.getpid()


def test_a_tree_is_named_by_the_process_by_which_it_entered_the_container():
    tree = ProcessTree()
    setup = dict(phase="setup", comm="runc:[2:INIT]")
    tree.apply(seen("fork", 10_000_001, SECOND, child_pid=10_000_002, child_start=2 * SECOND, **setup))
    shell = tree.apply(seen("exec", 10_000_002, 2 * SECOND, path="/bin/sh", comm="sh"))
    tree.apply(seen("fork", 10_000_002, 2 * SECOND, child_pid=10_000_003, child_start=3 * SECOND))
    tree.apply(seen("exit", 10_000_002, 2 * SECOND))
    child = tree.apply(seen("exec", 10_000_003, 3 * SECOND, path="/bin/cat", comm="cat"))
    other = tree.apply(seen("exec", 10_000_004, 4 * SECOND, path="/bin/sh", comm="sh"))
    assert (shell.entry_pid, shell.entry_start) == (10_000_002, 2 * SECOND)
    assert (child.entry_pid, child.entry_start) == (10_000_002, 2 * SECOND)
    assert other.entry_pid == 10_000_004


def test_a_host_process_has_no_entry():
    assert ProcessTree().apply(seen("exec", 10_000_001, SECOND, container_id="")).entry_pid == 0
