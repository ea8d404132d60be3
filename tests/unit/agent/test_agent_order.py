"""Two rings, one order: no record is handed on before an older one that a later drain brings."""

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.agent.order import SETTLE, Order
from keelwatch.model.observation import Observation


def at(time):
    return Observation("open", time, "", 0, 1, 1, 1, 0, 0, 0, 0, 0, -1, "", "", 0, 0, "run")


@given(st.lists(st.lists(st.integers(0, 10 * SETTLE))))
def test_records_that_settle_in_time_come_out_sorted_and_complete(rounds):
    order, out, began = Order(), [], 0
    for new in rounds:
        # a record becomes visible within SETTLE of its time stamp, so a drain that begins at
        # `began` has seen everything older than began - SETTLE before
        began += SETTLE
        visible = [at(max(0, began - SETTLE) + time) for time in new]
        out += order.push(visible, began)
    out += order.drain()
    assert len(out) == sum(map(len, rounds))
    assert [o.time for o in out] == sorted(o.time for o in out)
