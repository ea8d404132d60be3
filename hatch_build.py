"""The wheel's build step: compiles the sensor into the package with ziglang, no system compiler needed.

An editable install gets the sensor in the checkout; `make -C sensor` builds it again after a change.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = ("keelwatch-sensor.bpf.o", "libkeelwatch_sensor.so")
PLATFORM = "linux_x86_64"
"""Not manylinux: the library is linked with the system's libbpf.so.1, which that promise excludes."""


class SensorBuild(BuildHookInterface[Any]):
    """Builds `sensor/` and puts its two files and the rules into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill `build_data` with the built files; raise when they cannot be built."""
        root = Path(self.root)
        self._build(root)
        if version == "editable":
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{PLATFORM}"
        for name in NATIVE:
            build_data["force_include"][str(root / "src/keelwatch/_native" / name)] = (
                f"keelwatch/_native/{name}"
            )

    def _build(self, root: Path) -> None:
        make = shutil.which("make")
        if make is None:
            raise RuntimeError("building the sensor needs make (Debian: apt-get install make libbpf-dev)")
        command = [make, "-C", str(root / "sensor"), "all", f"PYTHON={sys.executable}"]
        finished = subprocess.run(command, check=False, capture_output=True, text=True)
        if finished.returncode:
            raise RuntimeError(f"the sensor could not be built:\n{finished.stdout}{finished.stderr}")
