"""Equal alerts become one with a count, and no firing is left out of the sum."""

from hypothesis import given
from hypothesis import strategies as st

from keelwatch.agent.alert_repeats import Repeats
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


def test_each_exec_into_a_container_has_an_alert_of_its_own_for_the_first_few():
    def by(entry: int) -> Alert:
        made = alert("a")
        made.event.process.entry_pid = entry
        return made

    repeats = Repeats(window=1000)
    sent = repeats.take(by(entry) for entry in (1, 2, 1, 2, 3, 4, 5, 6))
    assert [one.event.process.entry_pid for one in sent] == [1, 2, 3, 4]
    assert [one.count for one in repeats.due(now=float("inf"))] == [4]
