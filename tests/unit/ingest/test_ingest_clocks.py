"""How the difference of two clocks is told from how long requests take."""

from typing import Any

import orjson
import pytest

from keelwatch.ingest.clocks import HALF_WINDOW, LEAST_SAMPLES, MOST_NODES, Clocks

SECOND = 1_000_000_000
NOW = 1_768_478_400 * SECOND


class Recorder:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, table: str, rows: list[dict[str, Any]]) -> None:
        assert table == "lifecycle"
        self.rows += rows

    def states(self) -> list[tuple[str, float]]:
        details = [orjson.loads(row["detail"]) for row in self.rows]
        return [(detail["state"], detail["skew_seconds"]) for detail in details]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def clocks(recorder: Recorder) -> Clocks:
    return Clocks(recorder, "lab")  # type: ignore[arg-type]


def hear(clocks: Clocks, ahead: float, delays: list[float], at: float = 0.0) -> None:
    for delay in delays:
        received = NOW + int(delay * SECOND)
        clocks.heard("node-a", str(NOW + int(ahead * SECOND)), received, at)


@pytest.mark.parametrize("ahead", [-30.0, -0.5, 0.0, 0.5, 30.0])
def test_the_fastest_request_tells_the_difference(clocks: Clocks, ahead: float) -> None:
    hear(clocks, ahead, [0.9, 5.0, 0.001, 2.0])
    found = clocks.skew("node-a")
    assert found is not None
    assert abs(found / SECOND - ahead) < 0.01


def test_one_slow_request_says_nothing(clocks: Clocks) -> None:
    hear(clocks, 0, [4.0] * (LEAST_SAMPLES - 1))
    assert clocks.skew("node-a") is None
    assert clocks.skew("node-b") is None


def test_a_clock_that_was_set_right_is_believed_after_a_while(clocks: Clocks) -> None:
    hear(clocks, 10, [0.0] * 3)
    hear(clocks, 0, [0.0] * 3, at=HALF_WINDOW)
    assert clocks.skew("node-a") == 10 * SECOND
    hear(clocks, 0, [0.0] * 3, at=2 * HALF_WINDOW)
    assert clocks.skew("node-a") == 0


def test_what_was_long_ago_does_not_count(clocks: Clocks) -> None:
    hear(clocks, 10, [0.0] * 3)
    hear(clocks, 0, [0.0], at=10 * HALF_WINDOW)
    assert clocks.skew("node-a") == 0


@pytest.mark.parametrize("header", ["", "x", "-5", "1" * 20, "²", "1.5", " 1"])
def test_nonsense_is_no_time(clocks: Clocks, header: str) -> None:
    for _ in range(LEAST_SAMPLES):
        clocks.heard("node-a", header, NOW)
    assert clocks.skew("node-a") is None


def test_nodes_without_end_do_not_fill_the_memory(clocks: Clocks) -> None:
    for number in range(MOST_NODES + 10):
        clocks.heard(f"n{number}", str(NOW), NOW)
    assert len(clocks._clocks) == MOST_NODES


def test_clocks_that_part_and_meet_again_are_recorded_once_each(clocks: Clocks, recorder: Recorder) -> None:
    hear(clocks, 1.5, [0.0] * 3)
    clocks._look()
    assert not recorder.rows
    hear(clocks, -3, [0.0] * 3, at=3 * HALF_WINDOW)
    clocks._look()
    clocks._look()
    hear(clocks, -1.5, [0.0] * 3, at=6 * HALF_WINDOW)
    clocks._look()
    hear(clocks, 0.1, [0.0] * 3, at=9 * HALF_WINDOW)
    clocks._look()
    assert recorder.states() == [("apart", -3.0), ("agree", 0.1)]
    assert (recorder.rows[0]["node"], recorder.rows[0]["cluster"]) == ("node-a", "lab")
