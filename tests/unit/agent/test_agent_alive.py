"""Whether an outage of the agent is told, and how long it was."""

from __future__ import annotations

import os
from pathlib import Path

from keelwatch.agent.alive import HELD, NAME, Alive
from keelwatch.kit import clock
from keelwatch.model.identity import Identity


def test_the_first_start_is_no_outage(tmp_path: Path) -> None:
    assert Alive(tmp_path).gap(Identity()) is None


def test_an_outage_begins_before_the_last_beat_for_what_was_in_memory(tmp_path: Path) -> None:
    alive = Alive(tmp_path)
    before = clock.now()
    alive.beat()
    gap = Alive(tmp_path).gap(Identity(node="n"))
    assert gap is not None
    assert before - HELD <= gap.from_time < before < gap.to_time <= clock.now()
    assert (gap.cause, gap.what, gap.identity.node) == ("agent_down", "all", "n")


def test_it_is_told_until_the_next_beat(tmp_path: Path) -> None:
    Alive(tmp_path).beat()
    assert Alive(tmp_path).gap(Identity()) is not None
    assert Alive(tmp_path).gap(Identity()) is not None


def test_a_clock_that_went_back_makes_no_negative_interval(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(str(clock.now() + 3600 * 10**9))
    gap = Alive(tmp_path).gap(Identity())
    assert gap is not None
    assert gap.from_time == gap.to_time


def test_of_a_file_that_holds_no_time_its_own_counts(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\xff" * 100)
    os.utime(tmp_path / NAME, (1000, 1000))
    gap = Alive(tmp_path).gap(Identity())
    assert gap is not None
    assert gap.from_time == 1000 * 10**9 - HELD
