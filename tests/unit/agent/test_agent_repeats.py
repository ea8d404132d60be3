"""Equal alerts become one with a count, and no firing is left out of the sum."""

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.agent.repeats import Repeats
from keelwatch.model.event import Alert, Event
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process


def alert(rule, path="/x", container="c"):
    process = Process(pid=1, start=1, exe="/bin/x", container_id=container)
    event = Event(1, "open", "openat", 0, process, Identity(container_id=container), path=path)
    return Alert(id="1", rule=rule, priority="WARNING", tags=(), output="", event=event)


@given(st.lists(st.sampled_from(["a", "b", "c"])))
def test_the_sum_of_counts_is_the_number_of_firings(rules):
    repeats = Repeats(window=1000)
    sent = repeats.take(alert(rule) for rule in rules) + repeats.due(now=float("inf"))
    assert sum(a.count for a in sent) == len(rules)
    assert len(sent) <= 2 * len(set(rules))


def test_another_path_or_container_is_another_alert():
    repeats = Repeats()
    assert len(repeats.take([alert("a"), alert("a", path="/y"), alert("a", container="d"), alert("a")])) == 3


def test_nothing_is_due_before_the_window_ends():
    repeats = Repeats(window=1000)
    repeats.take([alert("a"), alert("a")])
    assert repeats.due() == []
