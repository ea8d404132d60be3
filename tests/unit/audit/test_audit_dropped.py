"""The API server's own count of what it dropped, from the text of its metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from keelwatch.audit.dropped import Dropped, read_metrics
from keelwatch.model.gap import Gap

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


def test_a_refusal_is_told_and_harms_nothing(tmp_path: Path) -> None:
    def refuse() -> str:
        raise RuntimeError('403 Forbidden: cannot get path "/metrics"')

    dropped = Dropped(refuse, Recorder(), tmp_path / "dropped.json", "c")  # type: ignore[arg-type]
    dropped.start()
    dropped.stop()
    assert "cannot get path" in dropped.problem
