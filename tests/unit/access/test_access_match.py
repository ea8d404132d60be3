"""Which process is whose: by command, container and time, counted against each other."""

from __future__ import annotations

from access_world import entry, exec_request
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.access.match import AMBIGUOUS, CERTAIN, LIKELY, NONE, Match, match_execs, with_gaps


def test_one_request_and_one_process_are_certain():
    alice = exec_request("alice", 10, 10.2)
    found = match_execs([alice], [entry(1, 10.1), entry(2, 10.1, "ls")])[alice.id]
    assert found == Match(CERTAIN, "", entry(1, 10.1), (entry(1, 10.1),))


def test_no_process_is_none_and_says_so():
    alice = exec_request("alice", 10, 10.2)
    found = match_execs([alice], [entry(1, 10.1, "ls"), entry(2, 10.1, container="other"), entry(3, 99)])[
        alice.id
    ]
    assert found.confidence == NONE
    assert found.candidates == ()
    assert "no process" in found.reason


def test_two_equal_execs_in_the_same_second_are_ambiguous():
    alice, bob = exec_request("alice", 10, 10.5), exec_request("bob", 10.1, 10.6)
    seen = [entry(1, 10.3), entry(2, 10.4)]
    found = match_execs([alice, bob], seen)
    for request in (alice, bob):
        assert found[request.id].confidence == AMBIGUOUS
        assert found[request.id].chosen is None
        assert found[request.id].candidates == tuple(seen)
        assert "alice and bob" in found[request.id].reason


def test_two_equal_execs_by_one_user_are_his_whichever_is_which():
    first, second = exec_request("alice", 10, 10.5), exec_request("alice", 10.1, 10.6)
    found = match_execs([first, second], [entry(1, 10.3), entry(2, 10.4)])
    assert [found[one.id].confidence for one in (first, second)] == [LIKELY, LIKELY]
    assert [found[one.id].chosen.pid for one in (first, second)] == [1, 2]


def test_equal_execs_one_after_the_other_are_told_apart_by_time():
    alice, bob = exec_request("alice", 10, 10.2), exec_request("bob", 10.5, 10.8)
    found = match_execs([bob, alice], [entry(1, 10.1), entry(2, 10.6)])
    assert [(found[one.id].confidence, found[one.id].chosen.pid) for one in (alice, bob)] == [
        (LIKELY, 1),
        (LIKELY, 2),
    ]
    assert "told apart" in found[alice.id].reason


def test_what_only_one_can_have_started_leaves_the_other_for_the_other():
    alice, bob = exec_request("alice", 10, 11), exec_request("bob", 10.5, 11)
    found = match_execs([alice, bob], [entry(1, 10.2), entry(2, 10.7)])
    assert [found[one.id].chosen.pid for one in (alice, bob)] == [1, 2]


def test_a_probe_with_the_same_command_at_the_same_time_is_ambiguous():
    alice = exec_request("alice", 10, 10.5)
    found = match_execs([alice], [entry(1, 10.2), entry(2, 10.3)])[alice.id]
    assert found.confidence == AMBIGUOUS
    assert "1 by no audited request" in found.reason


def test_a_probe_with_the_same_command_at_other_times_makes_it_likely():
    alice = exec_request("alice", 10, 10.5)
    found = match_execs([alice], [entry(1, 10.2), entry(2, 20), entry(3, 30)])[alice.id]
    assert (found.confidence, found.chosen.pid) == (LIKELY, 1)
    assert "2 times" in found.reason


def test_another_probe_near_by_is_told_from_it_by_time():
    alice = exec_request("alice", 10, 10.5)
    found = match_execs([alice], [entry(1, 10.2), entry(2, 11.5)])[alice.id]
    assert (found.confidence, found.chosen.pid) == (LIKELY, 1)


def test_a_terminal_tells_equal_execs_apart():
    alice, probe_like = exec_request("alice", 10, 0, tty=True), entry(2, 10.2)
    found = match_execs([alice], [entry(1, 10.1, tty=True), probe_like])[alice.id]
    assert (found.confidence, found.chosen.pid) == (LIKELY, 1)


def test_clocks_may_differ_a_little():
    alice = exec_request("alice", 10, 10.2)
    found = match_execs([alice], [entry(1, 8.5)])[alice.id]
    assert (found.confidence, found.chosen.pid) == (LIKELY, 1)
    assert "1.5 s before" in found.reason


def test_a_containers_own_process_is_nobodys_exec():
    alice = exec_request("alice", 10, 10.2)
    assert match_execs([alice], [entry(1, 10.1, main=True)])[alice.id].confidence == NONE


def test_a_script_is_known_by_its_path():
    alice = exec_request("alice", 10, 10.2, "healthcheck --fast")
    script = entry(1, 10.1, "/bin/sh /usr/local/bin/healthcheck --fast", script="/usr/local/bin/healthcheck")
    other = entry(2, 10.1, "/bin/sh /usr/local/bin/healthcheck --slow", script="/usr/local/bin/healthcheck")
    assert match_execs([alice], [script, other])[alice.id].chosen == script


def test_a_command_that_was_cut_is_known_by_its_beginning():
    alice = exec_request("alice", 10, 10.2, "sh -c " + "x" * 9000)
    cut = entry(1, 10.1, "sh -c " + "x" * 4000, truncated=True)
    assert match_execs([alice], [cut])[alice.id].chosen == cut


def test_the_container_may_be_left_to_the_api_server():
    alice = exec_request("alice", 10, 10.2, container="")
    assert match_execs([alice], [entry(1, 10.1, container="whichever")])[alice.id].confidence == CERTAIN


def test_losses_make_less_sure_and_explain_what_is_missing():
    sure = Match(CERTAIN, "", entry(1, 1), (entry(1, 1),))
    assert with_gaps(sure, ["exec: 5 events lost, ring_full"]).confidence == LIKELY
    none = with_gaps(Match(NONE, "nothing seen"), ["all: not observed for 3 s, agent_down"])
    assert none.confidence == NONE
    assert "agent_down" in none.reason


times = st.floats(min_value=0, max_value=8).map(lambda value: round(value, 2))


@given(
    st.lists(
        st.tuples(st.sampled_from(["alice", "bob"]), times, st.floats(0.05, 5)), max_size=5, unique=True
    ),
    st.lists(times, max_size=6),
)
def test_no_process_is_given_to_two_requests(asked, began):
    requests = [
        exec_request(user, begin, begin + length, id=f"{number}")
        for number, (user, begin, length) in enumerate(asked)
    ]
    entries = [entry(number + 1, moment) for number, moment in enumerate(sorted(began))]
    found = match_execs(requests, entries)
    assert set(found) == {one.id for one in requests}
    chosen = [match.chosen.tree for match in found.values() if match.chosen]
    assert len(chosen) == len(set(chosen))
    for match in found.values():
        assert (match.chosen is None) == (match.confidence in (AMBIGUOUS, NONE))
        assert bool(match.reason) == (match.confidence != CERTAIN)
        if match.confidence == CERTAIN:
            assert sum(match.chosen in other.candidates for other in found.values()) == 1


@given(st.lists(times, min_size=2, max_size=5))
def test_the_order_in_which_records_arrive_changes_nothing(began):
    requests = [exec_request(f"user{number}", moment, moment + 1) for number, moment in enumerate(began)]
    entries = [entry(number + 1, moment + 0.5) for number, moment in enumerate(sorted(began))]
    assert match_execs(requests, entries) == match_execs(requests[::-1], entries)
