"""The API server's own count of what it dropped, from the text of its metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.audit.dropped import Dropped, Server, read_metrics
from keelwatch.model.gap import Gap
from keelwatch.store.database import StoreError

TEXT = """# HELP apiserver_audit_error_total [ALPHA] Counter of events that failed.
# TYPE apiserver_audit_error_total counter
apiserver_audit_error_total{{plugin="webhook"}} {webhook}
apiserver_audit_error_total{{plugin="buffered"}} {buffered}
# TYPE apiserver_audit_event_total counter
apiserver_audit_event_total 70
# TYPE process_start_time_seconds gauge
process_start_time_seconds {start}
rubbish that no parser reads {{
"""


class Recorder:
    """Keeps what is recorded."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []

    def record(self, gaps: list[Gap]) -> None:
        self.gaps += gaps


def metrics(webhook: int, buffered: int = 0, start: str = "1.7953e+09") -> str:
    return TEXT.format(webhook=webhook, buffered=buffered, start=start)


def test_reading() -> None:
    assert read_metrics(metrics(3, 5)) == ("1795300000.0", {"webhook": 3, "buffered": 5})
    with pytest.raises(ValueError, match="process_start_time_seconds"):
        read_metrics("apiserver_audit_error_total 3\n")


def test_increases_are_gaps_once_over_restarts_of_both(tmp_path: Path) -> None:
    recorder = Recorder()
    answers: list[str] = []

    def asked(*texts: str) -> list[tuple[str, int]]:
        answers[:] = texts
        dropped = Dropped(lambda: answers.pop(0), recorder, tmp_path / "dropped.json", "c")  # type: ignore[arg-type]
        recorder.gaps = []
        for _ in texts:
            dropped.ask()
        return [(gap.detail.rpartition(" ")[2], gap.amount) for gap in recorder.gaps]

    assert asked(metrics(0), metrics(4, 2)) == [("webhook", 4), ("buffered", 2)]
    assert asked(metrics(4, 2), metrics(6, 2)) == [("webhook", 2)], "the hub was restarted"
    assert asked(metrics(1, start="1.8e+09")) == [("webhook", 1)], "the API server was restarted"
    assert asked(metrics(6, 2), metrics(1, start="1.8e+09")) == [], "two API servers behind one address"
    assert {gap.cause for gap in recorder.gaps} <= {"audit_dropped"}


def test_two_servers_that_began_in_the_same_moment_are_no_drops(tmp_path: Path) -> None:
    recorder = Recorder()
    one, other = [5, 5, 5, 6, 12, 12], [0, 0, 7, 7, 9, 9]
    answers = [metrics(count) for pair in zip(one, other, strict=True) for count in pair]
    dropped = Dropped(lambda: answers.pop(0), recorder, tmp_path / "dropped.json", "c")  # type: ignore[arg-type]
    told = []
    while answers:
        dropped.ask()
        told.append(sum(gap.amount for gap in recorder.gaps))
    assert told[3] == 5, "a change of the server is none"
    assert told[-1] == one[-1] + other[-1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=40))
def test_whichever_server_answers_what_they_dropped_is_told_once(steps: list[tuple[int, int]]) -> None:
    server, counts, told = Server(), dict.fromkeys(range(4), 0), 0
    for who, more in steps:
        counts[who] += more
        told += server.grow("webhook", counts[who])
        assert told <= sum(counts.values()), "never more than there was"
    told += sum(server.grow("webhook", count) for _ in range(4) for count in counts.values())
    assert told >= sum(set(counts.values())), "only equal counts are taken for one server's"


def test_what_an_earlier_version_kept_is_understood(tmp_path: Path) -> None:
    recorder = Recorder()
    path = tmp_path / "dropped.json"
    path.write_text('{"1795300000.0": {"asked": 1, "counts": {"webhook": 3}}}')
    Dropped(lambda: metrics(4), recorder, path, "c").ask()  # type: ignore[arg-type]
    assert [gap.amount for gap in recorder.gaps] == [1]


def test_what_could_not_be_recorded_is_told_the_next_time(tmp_path: Path) -> None:
    recorder, failures = Recorder(), [StoreError("down")]

    class Sick(Recorder):
        def record(self, gaps: list[Gap]) -> None:
            if failures:
                raise failures.pop()
            recorder.record(gaps)

    dropped = Dropped(lambda: metrics(4), Sick(), tmp_path / "dropped.json", "c")  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        dropped.ask()
    dropped.ask()
    dropped.ask()
    assert [gap.amount for gap in recorder.gaps] == [4]


def test_a_refusal_is_told_and_harms_nothing(tmp_path: Path) -> None:
    def refuse() -> str:
        raise RuntimeError('403 Forbidden: cannot get path "/metrics"')

    dropped = Dropped(refuse, Recorder(), tmp_path / "dropped.json", "c")  # type: ignore[arg-type]
    dropped.start()
    dropped.stop()
    assert "cannot get path" in dropped.problem
