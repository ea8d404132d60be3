"""Of a program's everyday writes to a volume only the first few are stored, and nothing else is thinned."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from keelwatch.agent.thinning import FIRST, WINDOW, Thinning, volume_of
from keelwatch.model.event import Event
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process

VOLUMES = ("/etc/hosts", "/var/lib/data")


def event(path: str = "/var/lib/data/part/1.bin", **more: Any) -> Event:
    fields: dict[str, Any] = {
        "time": 1, "kind": "open", "type": "openat", "result": 3, "process": Process(7, 1, exe="/bin/db"),
        "identity": Identity(container_id="c" * 64), "path": path, "path_source": "kernel", "mode": 0o100644,
    }  # fmt: skip
    return Event(**(fields | more))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def stored(thinning: Thinning, count: int, **more: Any) -> list[Event]:
    events = [event(**more) for _ in range(count)]
    return [one for one in events if thinning.stores(one, VOLUMES, alerted=False)]


def test_the_first_few_a_minute_are_stored_and_the_next_one_tells_how_many_were_not() -> None:
    clock = Clock()
    thinning = Thinning(clock=clock)
    assert len(stored(thinning, 100)) == FIRST
    assert thinning.left_out == 100 - FIRST
    clock.now += WINDOW
    assert [one.left_out for one in stored(thinning, 2)] == [100 - FIRST, 0]


@pytest.mark.parametrize(
    "more",
    [
        {"path": "/usr/bin/tool", "drift": "new"},
        {"path": "/usr/bin/tool"},
        {"path": "/var/lib/database"},
        {"path": "/var/lib/data/../../../etc/passwd", "path_source": "user"},
        {"mode": 0o100755},
        {"drift": "changed"},
        {"kind": "exec"},
        {"result": -13},
        {"file_identity": Identity(container_id="d" * 64)},
        {"identity": Identity()},
    ],
)
def test_what_is_not_an_everyday_write_is_always_stored(more: dict[str, Any]) -> None:
    assert len(stored(Thinning(), 50, **more)) == 50


def test_what_a_rule_fired_on_is_always_stored() -> None:
    thinning = Thinning()
    assert all(thinning.stores(event(), VOLUMES, alerted=True) for _ in range(50))


def test_everything_can_be_asked_for() -> None:
    assert len(stored(Thinning(everything=True), 50)) == 50


def test_each_program_and_kind_has_its_own_first_few() -> None:
    thinning = Thinning()
    assert len(stored(thinning, 50)) == FIRST
    assert len(stored(thinning, 50, kind="rename", path_source="user", drift="new")) == FIRST
    assert len(stored(thinning, 50, process=dataclasses.replace(event().process, exe="/bin/other"))) == FIRST


def test_a_volume_holds_what_is_below_it() -> None:
    assert volume_of("/etc/hosts", VOLUMES) == "/etc/hosts"
    assert volume_of("/etc/hosts.bak", VOLUMES) == ""
