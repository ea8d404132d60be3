"""Which ends of processes become events: those of trees."""

from __future__ import annotations

from typing import Any, cast

from keelwatch.agent.enricher import Enricher
from keelwatch.agent.records import event_row
from keelwatch.enrich.catalog import Catalog
from keelwatch.enrich.processes import ProcessTree
from keelwatch.enrich.provenance import FileHistory
from keelwatch.model.identity import Identity
from keelwatch.model.observation import Observation

CONTAINER = "ab" * 32
SECOND = 1_000_000_000


class Names:
    """A catalog that knows a container's name only."""

    def identity(self, container_id: str, pid: int = 0) -> Identity:
        del pid
        return Identity(container_id=container_id)

    def owner_of(self, device: int) -> str:
        del device
        return ""


def enricher() -> Enricher:
    return Enricher(ProcessTree(), cast(Catalog, Names()), FileHistory())


def seen(kind: str, pid: int, start: int, **more: Any) -> Observation:
    fields: dict[str, Any] = dict(
        kind=kind, time=9 * SECOND, syscall=kind, result=0, pid=pid, tid=pid, start=start, ppid=0,
        parent_start=0, uid=0, euid=0, gid=0, loginuid=-1, comm="sh", container_id=CONTAINER,
        cgroup_id=1, mount_ns=1, phase="run",
    )  # fmt: skip
    return Observation(**(fields | more))


def two_processes() -> Enricher:
    made = enricher()
    made.enrich(seen("exec", 10_000_001, SECOND, path="/bin/sh", argv=("sh",)))
    made.enrich(seen("fork", 10_000_001, SECOND, child_pid=10_000_002, child_start=2 * SECOND))
    return made


def test_the_last_end_of_a_tree_is_an_event_with_its_status() -> None:
    made = two_processes()
    assert made.enrich(seen("exit", 10_000_001, SECOND)) is None
    ended = made.enrich(seen("exit", 10_000_002, 2 * SECOND, exit_code=3 << 8))
    assert ended is not None
    row = event_row(ended)
    assert (row["kind"], row["entry_pid"], row["entry_start"]) == ("exit", 10_000_001, SECOND)
    assert row["detail"] == '{"status":3}'


def test_a_killed_one_tells_the_signal() -> None:
    made = enricher()
    made.enrich(seen("exec", 10_000_001, SECOND, path="/bin/sh"))
    ended = made.enrich(seen("exit", 10_000_001, SECOND, exit_code=9 | 0x80))
    assert ended is not None
    assert event_row(ended)["detail"] == '{"signal":9}'


def test_a_tree_whose_ends_were_lost_is_told_once() -> None:
    made = two_processes()  # such processes do not exist
    assert made.sweep() == [], "a record may be on its way"
    (ended,) = made.sweep()
    assert (ended.kind, ended.process.entry_pid) == ("exit", 10_000_001)
    assert event_row(ended)["detail"] == "{}"
    assert made.sweep() == []
