"""The sensor as a whole: its settings, its counters, its errors, and how fast it loads."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from watching import Watch, act

from keelwatch.capture import ring
from keelwatch.capture.ring import Sensor, SensorConfig, SensorError
from keelwatch.model.observation import KINDS
from lab import Pod

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.usefixtures("needs_sensor")]


def test_loads_within_a_second() -> None:
    times = []
    for _ in range(3):
        began = time.process_time()
        Sensor.open().close()
        times.append(time.process_time() - began)
    assert min(times) < 1.0


@pytest.mark.containers
@pytest.mark.parametrize("kind", ["open", "chmod", "exec", "fork", "exit", "inherit"])
def test_each_kind_can_be_switched_off(pod: Pod, name: str, kind: str) -> None:
    watch = Watch(Sensor.open(SensorConfig(kinds=frozenset(KINDS) - {kind})))
    try:
        pod.shell(f"busybox cat /bin/busybox > /tmp/{name}; chmod 755 /tmp/{name}; rm /tmp/{name}")
        watch.wait(lambda o: o.kind == "unlink" and o.path == f"/tmp/{name}")
        kinds = {o.kind for o in watch.settle()}
    finally:
        watch.close()
    assert kind not in kinds
    assert kinds >= {"open", "chmod", "exec", "fork", "exit", "inherit"} - {kind}


@pytest.mark.containers
def test_a_full_ring_is_counted_and_leaves_the_other_alone(pod: Pod, name: str) -> None:
    with Sensor.open(SensorConfig(file_ring=65536, process_ring=1 << 20)) as sensor:
        pod.shell(f"i=0; while [ $i -lt 2000 ]; do echo > /tmp/{name}; i=$((i + 1)); done", timeout=60)
        lost = sensor.losses()
    assert lost["open", "ring_full"] > 1000
    assert not [key for key in lost if key[0] in {"exec", "fork", "exit"}]


@pytest.mark.containers
def test_the_process_map_full_is_counted(pod: Pod) -> None:
    with Sensor.open(SensorConfig(processes=1)) as sensor:
        pod.shell("for i in 1 2 3; do busybox true; done")
        assert sensor.losses()["fork", "map_full"] >= 1


@pytest.mark.containers
def test_nothing_is_lost_unnoticed(watch: Watch, pod: Pod, name: str) -> None:
    count = 3000
    pod.shell(
        f"i=0; while [ $i -lt {count} ]; do echo > /tmp/{name}.$i; i=$((i + 1)); done; rm -rf /tmp/{name}.*",
        timeout=120,
    )
    paths = [o.path for o in watch.settle() if o.kind == "open" and f"/{name}." in o.path]
    assert sorted(paths) == sorted(f"/tmp/{name}.{i}" for i in range(count))
    assert not watch.sensor.losses()


@pytest.mark.containers
def test_the_host_switch_reports_the_host(name: str) -> None:
    watch = Watch(Sensor.open(SensorConfig(host=True)))
    try:
        path = Path(f"/tmp/{name}")
        path.write_text("x")
        path.unlink()
        seen = watch.wait(lambda o: o.kind == "open" and o.path == str(path))
        gone = watch.wait(lambda o: o.kind == "unlink" and o.path == str(path))
    finally:
        watch.close()
    assert (seen.container_id, gone.container_id) == ("", "")


def test_wrong_settings_are_all_said_at_once() -> None:
    config = SensorConfig(kinds=frozenset({"opne"}), attach="x", file_ring=1000, environment=("A" * 30,))
    with pytest.raises(SensorError) as error:
        Sensor.open(config)
    assert str(error.value).count(";") == 3


def test_a_file_that_is_no_sensor(tmp_path: Path) -> None:
    broken = tmp_path / "x.o"
    broken.write_bytes(b"no ELF")
    with pytest.raises(SensorError, match=r"cannot open .*x\.o"):
        Sensor.open(dataclasses.replace(SensorConfig(), object=broken))


def test_fexit_attaches_or_the_kernels_refusal_is_told() -> None:
    with Sensor.open() as found:
        allowed = found.attached == "fexit"
    if allowed:
        return
    with pytest.raises(SensorError, match=r"the kernel refused|cannot attach"):
        Sensor.open(SensorConfig(attach="fexit"))


def test_auto_finds_a_way() -> None:
    with Sensor.open() as sensor:
        assert sensor.attached in ("sys_exit", "fexit")


def test_a_closed_sensor_says_so() -> None:
    sensor = Sensor.open()
    sensor.close()
    sensor.close()
    with pytest.raises(SensorError, match="closed"):
        sensor.drain(1)


def test_a_missing_build_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ring, "OBJECT", tmp_path / "none.o")
    assert "make" in "".join(ring.problems())


@pytest.mark.containers
def test_an_idle_drain_costs_nothing_and_waits(watch: Watch, pod: Pod) -> None:
    with Sensor.open() as sensor:
        sensor.drain(300)
        began, cpu = time.monotonic(), time.thread_time()
        sensor.drain(300)
        assert time.monotonic() - began < 2
        assert time.thread_time() - cpu < 0.05


def test_events_reach_the_reader_soon(pod: Pod, watch: Watch, name: str) -> None:
    began = time.monotonic()
    act(pod, "call", 2, f"s:/tmp/{name}", 65, 420)
    watch.wait(lambda o: o.kind == "open" and o.path == f"/tmp/{name}")
    assert time.monotonic() - began < 3
