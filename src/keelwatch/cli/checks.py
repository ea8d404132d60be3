"""What `keelwatch doctor` looks at: one function per question, each answer with how to mend it."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from keelwatch.cli.client import HubClient
from keelwatch.cli.errors import NOT_AUTHORISED, UNREACHABLE, CliError

OLDEST_KERNEL = (5, 8)
LEAST_DISK = 100 << 20
FEW_DISK = 1 << 30
SOCKETS = {
    "containerd": "/run/containerd/containerd.sock",
    "k3s": "/run/k3s/containerd/containerd.sock",
    "CRI-O": "/run/crio/crio.sock",
    "Docker": "/run/docker.sock",
}


_HUB_PROBLEMS = "A missing permission stands in the RBAC rule it names; the chart's ClusterRole has them all."


@dataclass(frozen=True, slots=True)
class Check:
    """One answer. `state` is ok, warn (something works less well) or fail (something does not work)."""

    name: str
    state: str
    found: str
    mend: str = ""


def kernel() -> Check:
    """The sensor needs 5.8: the ring buffer and `tp_btf` programs."""
    release = platform.release()
    numbers = re.match(r"(\d+)\.(\d+)", release)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if version < OLDEST_KERNEL:
        return Check("kernel", "fail", release, "Use Linux 5.8 or newer; logs work without the sensor.")
    return Check("kernel", "ok", release)


def machine() -> Check:
    """System call numbers and register names are known for x86-64."""
    name = platform.machine()
    state = "ok" if name == "x86_64" else "fail"
    return Check("processor", state, name, "" if state == "ok" else "The sensor runs on x86-64 only, so far.")


def btf(path: Path = Path("/sys/kernel/btf/vmlinux")) -> Check:
    """CO-RE programs are relocated by the kernel's own types."""
    if os.access(path, os.R_OK):
        return Check("BTF", "ok", str(path))
    return Check("BTF", "fail", f"{path} cannot be read", "Boot a kernel with CONFIG_DEBUG_INFO_BTF=y.")


def privileges() -> Check:
    """Loading programs and reading other processes needs root."""
    if os.geteuid() == 0:
        return Check("privileges", "ok", "root")
    return Check(
        "privileges", "fail", f"user id {os.geteuid()}", "Run the agent as root; the hub needs no root."
    )


def lockdown(path: Path = Path("/sys/kernel/security/lockdown")) -> Check:
    """`integrity` leaves tracepoints, which are enough; `confidentiality` hides kernel memory from BPF."""
    try:
        modes = path.read_text("ascii", errors="replace")
    except OSError:
        return Check("lockdown", "ok", "not in force, or not visible")
    active = re.search(r"\[(\w+)\]", modes)
    mode = active[1] if active else "none"
    if mode == "confidentiality":
        return Check(
            "lockdown", "fail", mode, "Boot with lockdown=integrity: BPF may not read the kernel here."
        )
    return Check("lockdown", "ok", mode)


def libbpf() -> Check:
    """The one library that the wheel does not bring."""
    try:
        ctypes.CDLL("libbpf.so.1")
    except OSError:
        return Check(
            "libbpf", "fail", "libbpf.so.1 is missing", "apt-get install libbpf1 (or: dnf install libbpf)"
        )
    return Check("libbpf", "ok", "libbpf.so.1")


def sensor() -> Check:
    """Whether the sensor's programs are there and this kernel takes them: it is loaded and let go."""
    from keelwatch.capture import ring

    problems = ring.problems()
    if not problems:
        try:
            with ring.Sensor.open() as loaded:
                return Check("sensor", "ok", f"loads, attaches by {loaded.attached}")
        except ring.SensorError as error:
            problems = [_first_line(str(error))]
    return Check(
        "sensor", "fail", "; ".join(problems), "Until then: `keelwatch agent --no-sensor`, logs only."
    )


def _first_line(text: str) -> str:
    """A verifier's log has thousands of lines; the agent's own log has them all."""
    line, _, rest = text.partition("\n")
    return f"{line} (the agent's log has the rest)" if rest else line


def runtimes() -> Check:
    """Container runtimes, by their sockets and shims."""
    found = [name for name, path in SOCKETS.items() if Path(path).exists()]
    shims = sum(1 for comm in _comms() if comm.startswith(("containerd-shim", "conmon")))
    if not found and not shims:
        mend = "Start containerd, CRI-O or Docker; a runtime started later is found by itself."
        return Check("runtimes", "warn", "no container runtime", mend)
    text = ", ".join(found) or "at an unusual place"
    return Check("runtimes", "ok", f"{text}; {shims} running shims")


def _comms() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield (entry / "comm").read_text("utf-8", errors="replace")
            except OSError:
                continue  # It has ended meanwhile.


def logs(roots: tuple[Path, ...] = (Path("/var/log/pods"), Path("/var/lib/docker/containers"))) -> Check:
    """The folders container logs are in by default."""
    there = [root for root in roots if root.is_dir()]
    closed = [str(root) for root in there if not os.access(root, os.R_OK | os.X_OK)]
    if closed:
        return Check("log folders", "fail", f"cannot read {', '.join(closed)}", "Run the agent as root.")
    if not there:
        mend = "None is fine without Kubernetes; logs elsewhere are found through the runtime."
        return Check("log folders", "warn", f"none of {', '.join(map(str, roots))}", mend)
    return Check("log folders", "ok", ", ".join(map(str, there)))


def disk(path: Path) -> Check:
    """Room for the spool and the store."""
    at = path
    while not at.exists():
        at = at.parent
    free = shutil.disk_usage(at).free
    text = f"{free >> 20} MiB free at {at}"
    if free < LEAST_DISK:
        return Check("disk", "fail", text, "Make room: the spool cannot hold what the hub does not take.")
    if free < FEW_DISK:
        return Check("disk", "warn", text, "Less than 1 GiB: --spool-limit bounds the spool.")
    return Check("disk", "ok", text)


def hub(client: HubClient) -> Check:
    """Whether the hub answers and takes our token."""
    address = client.connection.hub
    try:
        status = client.get("/api/v1/status")
    except CliError as error:
        return _hub_problem(address, error)
    found = f"{address}, version {status.get('version', '?')}"
    if problems := status.get("problems"):
        return Check("hub", "warn", f"{found}: {'; '.join(map(str, problems))}", _HUB_PROBLEMS)
    return Check("hub", "ok", found)


def _hub_problem(address: str, error: CliError) -> Check:
    reason, _, hint = error.message.removeprefix(f"cannot reach the hub at {address}: ").partition("\n")
    if error.exit_code == UNREACHABLE:
        hint = "Start it with `keelwatch up` or `keelwatch hub`, or name another with --hub."
    elif error.exit_code == NOT_AUTHORISED:
        hint = "Give a token the hub knows: --token-file, KEELWATCH_TOKEN or the config file."
    return Check("hub", "fail", f"{address}: {reason}", hint)


def local_checks(data: Path) -> Iterator[Check]:
    """All questions about this machine, in the order in which they should be mended."""
    questions: tuple[Callable[[], Check], ...] = (
        kernel, machine, btf, privileges, lockdown, libbpf, sensor, runtimes, logs,
    )  # fmt: skip
    for question in questions:
        yield question()
    yield disk(data)
