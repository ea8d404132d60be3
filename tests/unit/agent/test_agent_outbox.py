"""A row that cannot be kept is counted; it does not take others with it or end the thread."""

import pytest

from keelwatch.agent.outbox import Outbox
from keelwatch.model.identity import Identity
from keelwatch.ship.spool import Spool


@pytest.fixture
def spool(tmp_path):
    opened = Spool(tmp_path / "spool", Identity(node="n"))
    yield opened
    opened.close()


def test_rows_are_durable_after_stop(spool):
    outbox = Outbox(spool)
    outbox.start()
    outbox.add("events", {"time": 1_700_000_000 * 10**9})
    outbox.stop()
    assert spool.appended["events"] == 1


def test_what_cannot_be_kept_is_counted_and_the_next_row_is_kept(spool):
    outbox = Outbox(spool)
    outbox.start()
    outbox.add("events", {"time": "not a time"})
    outbox.add("alerts", {"time": 1_700_000_000 * 10**9})
    outbox.stop()
    assert spool.appended["alerts"] == 1
    assert spool.appended["gaps"] == 1
