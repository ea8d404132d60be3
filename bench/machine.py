"""The machine that the figures are of, and what one of its processes uses. proc(5)."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, Any]:
    """What a reader needs to judge the figures; `load` tells whether something else ran."""
    cpus = [line for line in _lines(PROC / "cpuinfo") if line.startswith("model name")]
    memory = next((line for line in _lines(PROC / "meminfo") if line.startswith("MemTotal")), "0 0")
    return {
        "cpu": cpus[0].partition(":")[2].strip() if cpus else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of the children it has waited for."""
    stat = (PROC / str(pid) / "stat").read_text()
    fields = stat[stat.rindex(")") + 2 :].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def memory(pid: int, name: str = "VmRSS") -> float:
    """Resident memory in bytes: `VmRSS` now, `VmHWM` at its highest."""
    line = next(line for line in _lines(PROC / str(pid) / "status") if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024.0


def reset_peak(pid: int) -> None:
    """Let VmHWM begin again at what is resident now."""
    (PROC / str(pid) / "clear_refs").write_text("5")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
