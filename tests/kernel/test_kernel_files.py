"""File probes, each acting inside a container made over CRI."""

from __future__ import annotations

import errno

import pytest
from watching import Watch, act

from keelwatch.model.observation import Observation
from lab import Pod

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]

AT_FDCWD = -100
CREATE = 0o101  # O_WRONLY | O_CREAT
MODE = 0o644


def expect(watch: Watch, pod: Pod, kind: str, path: str, syscall: str, source: str) -> Observation:
    """The event, whose container, path and path source are as they must be."""
    seen = watch.wait(lambda o: o.kind == kind and o.path == path and o.syscall == syscall)
    assert seen.container_id == pod.container.id
    assert seen.path_source == source
    assert seen.phase == "run"
    assert seen.comm == "act"
    assert not seen.truncated
    return seen


@pytest.mark.parametrize(
    ("syscall", "call"),
    [
        ("open", ["call", 2, "s:{}", CREATE, MODE]),
        ("creat", ["call", 85, "s:{}", MODE]),
        ("openat", ["call", 257, AT_FDCWD, "s:{}", CREATE, MODE]),
        ("openat2", ["call", 437, AT_FDCWD, "s:{}", f"h:{MODE},{CREATE}", 24]),
        ("open", ["int80", 5, "s:{}", CREATE, MODE]),
        ("openat", ["int80", 295, AT_FDCWD, "s:{}", CREATE, MODE]),
        ("creat", ["int80", 8, "s:{}", MODE]),
    ],
)
def test_open(watch: Watch, pod: Pod, name: str, syscall: str, call: list[str | int]) -> None:
    path = f"/tmp/{name}"
    fd = act(pod, *(str(word).format(f"/tmp/../tmp/./{name}") for word in call))
    assert fd >= 0
    seen = expect(watch, pod, "open", path, syscall, "kernel")
    assert (seen.result, seen.descriptor, seen.created) == (fd, fd, True)
    assert (seen.overlay, seen.upper, seen.memfd) == (True, True, False)
    assert seen.inode > 0
    assert seen.device > 0
    assert seen.mode == 0o100644
    assert seen.ctime > 1_600_000_000 * 10**9


def test_open_of_an_existing_image_file(watch: Watch, pod: Pod) -> None:
    act(pod, "call", 257, AT_FDCWD, "s:/etc/group", 0o2001)  # O_WRONLY | O_APPEND
    seen = expect(watch, pod, "open", "/etc/group", "openat", "kernel")
    assert not seen.created
    assert seen.flags & 0o2003 == 0o2001


def test_opens_for_reading_are_not_reported(watch: Watch, pod: Pod, name: str) -> None:
    act(pod, "call", 257, AT_FDCWD, "s:/etc/passwd", 0)
    act(pod, "call", 437, AT_FDCWD, "s:/etc/passwd", "h:0,0", 24)
    act(pod, "call", 2, f"s:/tmp/{name}", CREATE, MODE)
    expect(watch, pod, "open", f"/tmp/{name}", "open", "kernel")
    assert not [o for o in watch.settle() if o.kind == "open" and o.path == "/etc/passwd" and o.comm == "act"]


def test_a_refused_open(watch: Watch, pod: Pod) -> None:
    assert act(pod, "call", 257, AT_FDCWD, "s:/sys/kernel/mm/../profiling", 1) == -errno.EROFS
    seen = expect(watch, pod, "open", "/sys/kernel/profiling", "openat", "user")
    assert seen.result == -errno.EROFS
    assert seen.descriptor == -1


def test_an_open_of_what_is_not_there_is_not_reported(watch: Watch, pod: Pod, name: str) -> None:
    assert act(pod, "call", 257, AT_FDCWD, f"s:/tmp/{name}", 1) == -errno.ENOENT
    assert not [o for o in watch.settle() if name in o.path]


def test_names_with_newlines_and_bytes_that_are_not_utf8(watch: Watch, pod: Pod, name: str) -> None:
    pod.run("/bin/sh", "-c", f"""cd /tmp && f=$(printf 'a\\nb\\377%s' {name}) && echo > "$f" """)
    seen = watch.wait(lambda o: o.kind == "open" and o.path == f"/tmp/a\nb\\xff{name}")
    assert seen.container_id == pod.container.id


def test_a_deep_path(watch: Watch, pod: Pod, name: str) -> None:
    path = "/tmp/" + "/".join([name] * 40)
    pod.shell(f"mkdir -p {path}")
    act(pod, "call", 2, f"s:{path}/x", CREATE, MODE)
    expect(watch, pod, "open", f"{path}/x", "open", "kernel")


def test_a_path_deeper_than_is_read_is_marked_and_counted(watch: Watch, pod: Pod, name: str) -> None:
    path = "/tmp/" + "/".join(["d"] * 80)
    pod.shell(f"mkdir -p {path}")
    act(pod, "call", 2, f"s:{path}/{name}", CREATE, MODE)
    seen = watch.wait(lambda o: o.kind == "open" and o.path.endswith(f"/{name}"))
    assert seen.truncated
    assert watch.sensor.losses()["open", "truncated"] >= 1


@pytest.mark.parametrize(
    ("syscall", "call"),
    [
        ("rename", ["call", 82, "s:{0}", "s:{1}"]),
        ("renameat", ["call", 264, AT_FDCWD, "s:{0}", AT_FDCWD, "s:{1}"]),
        ("renameat2", ["call", 316, "n:/tmp", "s:{0}", "n:/tmp", "s:{2}", 1]),
        ("rename", ["int80", 38, "s:{0}", "s:{1}"]),
        ("link", ["call", 86, "s:{0}", "s:{1}"]),
        ("linkat", ["call", 265, AT_FDCWD, "s:{0}", "n:/tmp", "s:{2}", 0]),
        ("link", ["int80", 9, "s:{0}", "s:{1}"]),
    ],
)
def test_rename_and_link(watch: Watch, pod: Pod, name: str, syscall: str, call: list[str | int]) -> None:
    old, new = f"/tmp/{name}.old", f"/tmp/{name}.new"
    pod.shell(f"echo > {old}")
    assert act(pod, *(str(word).format(old, new, f"{name}.new") for word in call)) == 0
    kind = "link" if syscall.startswith("link") else "rename"
    seen = expect(watch, pod, kind, new, syscall, "user")
    assert (seen.old_path, seen.old_path_source) == (old, "user")


@pytest.mark.parametrize(
    ("syscall", "call", "source"),
    [
        ("chmod", ["call", 90, "s:{}", 0o755], "user"),
        ("fchmodat", ["call", 268, AT_FDCWD, "s:{}", 0o755], "user"),
        ("fchmodat2", ["call", 452, AT_FDCWD, "s:{}", 0o4755, 0], "user"),
        ("fchmod", ["call", 91, "o:{}", 0o755], "kernel"),
        ("chmod", ["int80", 15, "s:{}", 0o755], "user"),
    ],
)
def test_chmod(watch: Watch, pod: Pod, name: str, syscall: str, call: list[str | int], source: str) -> None:
    path = f"/tmp/{name}"
    pod.shell(f"echo > {path}")
    assert act(pod, *(str(word).format(path) for word in call)) == 0
    seen = expect(watch, pod, "chmod", path, syscall, source)
    assert seen.mode & 0o111


def test_a_chmod_that_makes_nothing_executable_is_not_reported(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"echo > /tmp/{name}")
    assert act(pod, "call", 90, f"s:/tmp/{name}", 0o640) == 0
    assert not [o for o in watch.settle() if o.kind == "chmod"]


@pytest.mark.parametrize(
    ("syscall", "call"),
    [
        ("unlink", ["call", 87, "s:/tmp/{}"]),
        ("unlinkat", ["call", 263, "n:/tmp", "s:{}", 0]),
        ("unlink", ["int80", 10, "s:/tmp/{}"]),
    ],
)
def test_unlink(watch: Watch, pod: Pod, name: str, syscall: str, call: list[str | int]) -> None:
    pod.shell(f"echo > /tmp/{name}")
    assert act(pod, *(str(word).format(name) for word in call)) == 0
    expect(watch, pod, "unlink", f"/tmp/{name}", syscall, "user")


def test_a_relative_path_starts_at_the_kernels_working_directory(watch: Watch, pod: Pod, name: str) -> None:
    pod.shell(f"mkdir -p /tmp/{name}/in; cd /tmp/{name}/in; echo > ../x; rm ../x")
    seen = watch.wait(lambda o: o.kind == "unlink" and o.path == f"/tmp/{name}/x")
    assert seen.path_source == "user"
    assert seen.container_id == pod.container.id
