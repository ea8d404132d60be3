"""Runs inside a guest with another kernel: loads the sensor both ways and says what it saw, as JSON."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, "/kw")

from keelwatch.capture.ring import Sensor, SensorConfig, SensorError
from keelwatch.decode.sensor import decode

ACTS = """
/bin/echo hi > /tmp/a; cd /tmp; chmod +x a; mv a b; ln b c; rm b c
act call 437 -100 s:/tmp/openat2 h:420,65 24
act int80 5 s:/tmp/gate32 65 420
act call 308 o:/proc/self/ns/uts 0; act call 272 0x04000000; act x ptrace; act x pidfd
act call 165 s:a s:/tmp s:nofs 0 0; act call 59 s:/tmp/openat2 0 0; true
"""


def attempt(way: str) -> dict[str, object]:
    try:
        sensor = Sensor.open(SensorConfig(attach=way))
    except SensorError as error:
        return {"way": way, "error": str(error)}
    container = os.urandom(32).hex()
    cgroup = Path(f"/sys/fs/cgroup/cri-containerd-{container}.scope")
    cgroup.mkdir()

    def enter() -> None:
        (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    null = subprocess.DEVNULL
    subprocess.run(["/bin/sh", "-c", ACTS], preexec_fn=enter, stdout=null, stderr=null)
    seen, errors, end = [], 0, time.time() + 3
    while time.time() < end:
        found, wrong = decode(sensor.drain(200))
        seen += found
        errors += wrong
    result = {
        "way": way,
        "attached": sensor.attached,
        "errors": errors,
        "losses": [list(key) for key in sensor.losses()],
        "foreign": sum(o.container_id != container for o in seen),
        "seen": sorted({(o.kind, o.syscall, o.path) for o in seen}),
        "targets": sum(bool(o.target_pid) for o in seen),
        "times": all(o.ctime > 10**18 for o in seen if o.kind == "open"),
    }
    sensor.close()
    return result


for name in ("sys_exit", "fexit", "auto"):
    print("GUEST", json.dumps({"kernel": os.uname().release, **attempt(name)}), flush=True)
