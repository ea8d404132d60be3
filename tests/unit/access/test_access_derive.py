"""Sessions of a pod from its requests and from what was seen in it."""

from __future__ import annotations

from dataclasses import replace

from access_world import NS, at, entry, exec_request

from keelwatch.access.derive import sessions
from keelwatch.access.match import AMBIGUOUS, CERTAIN, LIKELY, NONE
from keelwatch.access.pod import Container, Loss, PodSeen, containers
from keelwatch.access.request import ATTACH, DEBUG, MADE, PORT_FORWARD
from keelwatch.access.session import Deeds, differs

APP = Container("c1", "app", at(-100), started=at(-100), entries=(entry(1, 0, main=False),))


def debugger(began: float, ended: float = 0, name: str = "debugger-1", *more, id_: str = "d1") -> Container:
    identity = {"container": name, "container_id": id_, "node": "n1", "seen": at(began)}
    main = entry(50, began, container_id=id_, container=name, main=True, identity=identity)
    return Container(id_, name, at(began), at(began), at(ended) if ended else 0, (main, *more), identity)


def test_an_exec_has_its_tree_and_its_place():
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((entry(7, 10.1),), (APP,)))
    row = found.columns()
    assert (row["confidence"], row["entry_pid"], row["trees"]) == (CERTAIN, 7, ["c1/7/7000"])
    assert (row["container_id"], row["node"], row["state"]) == ("c1", "n1", "ended")
    assert row["ended"] == at(10.3)


def test_refused_requests_are_no_sessions():
    assert sessions([exec_request("alice", 10, 10.3, code=403)], PodSeen((entry(7, 10.1),), (APP,))) == []


def test_a_loss_at_the_time_is_named():
    loss = Loss(at(9), at(11), "exec: 5 events lost, ring_full on node n1", "n1")
    elsewhere = Loss(at(9), at(11), "exec: 7 events lost, ring_full on node n2", "n2")
    app = Container("c1", "app", at(-100), identity={"node": "n1", "container": "app"})
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((), (app,), (loss, elsewhere)))
    assert found.match.confidence == NONE
    assert "5 events" in found.match.reason
    assert "7 events" not in found.match.reason


def test_a_pod_that_nobody_watched_is_said_to_be_so():
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen())
    assert "no agent reported anything" in found.match.reason
    late = Container("c1", "app", at(600))
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((), (late,)))
    assert "the first that was observed of this pod is of" in found.match.reason


def test_an_attach_ties_to_the_containers_own_process_while_it_lasts():
    attach = exec_request("alice", 10, 20, kind=ATTACH, argv=(), stdin=True)
    (found,) = sessions([attach], PodSeen((entry(7, 5),), (APP,)))
    assert (found.match.confidence, found.match.chosen.pid) == (LIKELY, 1)
    assert found.until == at(22)  # what was typed last may be done a little later
    (found,) = sessions([exec_request("alice", 10, 20, kind=ATTACH, argv=())], PodSeen((), (APP,)))
    assert found.match.confidence == CERTAIN
    assert "only read" in found.match.reason


def test_an_attach_goes_to_the_run_of_the_container_that_there_was():
    before = Container("c0", "app", at(-500), ended=at(-50), entries=(entry(3, 0, container_id="c0"),))
    now = Container("c1", "app", at(-40), entries=(entry(4, 0),))
    later = Container("c2", "app", at(90), entries=(entry(5, 0, container_id="c2"),))
    attach = exec_request("alice", 10, 20, kind=ATTACH, argv=(), stdin=True)
    (found,) = sessions([attach], PodSeen((), (before, now, later)))
    assert found.match.chosen.pid == 4


def test_a_port_forward_has_no_tree():
    (found,) = sessions([exec_request("alice", 10, 20, kind=PORT_FORWARD)], PodSeen((), (APP,)))
    assert (found.match.confidence, found.trees) == (NONE, ())
    assert "starts no process" in found.match.reason


def debug_request(user: str = "alice", begin: float = 10, container: str = "debugger-1", **more):
    return exec_request(user, begin, begin + 0.1, kind=DEBUG, container=container, target="app", **more)


def test_a_debug_has_the_whole_life_of_its_container_and_the_attaches_of_its_user():
    attach = exec_request("alice", 12, 60, kind=ATTACH, container="debugger-1", argv=())
    (found,) = sessions([debug_request(), attach], PodSeen((), (APP, debugger(11, 70))))
    assert found.match.confidence == CERTAIN
    assert found.trees == ("d1/50/50000",)
    assert found.requests == ("alice@10", "alice@12")
    assert found.ended == at(70)
    assert found.columns()["target_container"] == "app"


def test_who_else_attaches_to_it_has_a_session_of_his_own():
    attach = exec_request("bob", 12, 60, kind=ATTACH, container="debugger-1", argv=(), stdin=True)
    found = sessions([debug_request(), attach], PodSeen((), (APP, debugger(11))))
    assert [(one.request.user, one.request.kind) for one in found] == [("alice", DEBUG), ("bob", ATTACH)]
    assert found[0].trees == found[1].trees


def test_an_exec_into_a_debug_container_is_its_users():
    inside = entry(60, 30, "sh", container_id="d1", container="debugger-1")
    bob = exec_request("bob", 29.9, 40, container="debugger-1")
    seen = PodSeen((inside,), (APP, debugger(11, 0, "debugger-1", inside)))
    debug, other = sessions([debug_request(), bob], seen)
    assert debug.trees == ("d1/50/50000",)
    assert other.trees == (inside.tree,)


def test_a_debug_container_that_did_not_start_is_said_to_be_so():
    (found,) = sessions([debug_request()], PodSeen((), (APP,)))
    assert found.match.confidence == NONE
    assert found.state == "open"


def made_request(user: str = "alice", begin: float = 10, **more):
    told = (("app", "shop/checkout:1", ("serve",)), ("debugger-1", "toolbox:1", ("sh",)))
    return exec_request(user, begin, begin + 0.1, kind=MADE, container="", **({"containers": told} | more))


def test_a_copy_of_a_pod_is_a_debug_of_the_container_that_its_maker_attached_to():
    attach = exec_request("alice", 12, 60, kind=ATTACH, container="debugger-1", argv=())
    seen = PodSeen((), (APP, debugger(11, 70)))
    (found,) = sessions([made_request(), attach], seen)
    assert (found.request.kind, found.match.confidence, found.ended) == (DEBUG, CERTAIN, at(70))
    assert (found.request.image, found.request.command) == ("toolbox:1", "sh")
    assert (found.trees, found.requests) == (("d1/50/50000",), ("alice@10", "alice@12"))
    both = exec_request("alice", 20, 60, kind=ATTACH, container="app", argv=())
    ids = {one.request.container: one.request.id for one in sessions([made_request(), attach, both], seen)}
    assert ids == {"app": "alice@10", "debugger-1": found.request.id}, "an id is for ever"
    other = exec_request("bob", 12, 60, kind=ATTACH, container="debugger-1", argv=())
    (found,) = sessions([made_request(), other], seen)
    assert (found.request.user, found.request.kind) == ("bob", ATTACH)


def test_a_pod_that_was_made_by_hand_is_no_session_by_itself():
    assert sessions([made_request()], PodSeen((), (APP, debugger(11)))) == []
    late = exec_request("alice", 7000, 7001, kind=ATTACH, container="debugger-1", argv=())
    assert [one.request.kind for one in sessions([made_request(), late], PodSeen())] == [ATTACH]


def test_a_pod_for_debugging_is_a_session_of_each_of_its_containers():
    found = sessions([made_request(debugs=True)], PodSeen((), (APP, debugger(11))))
    assert [one.request.id for one in found] == ["alice@10", "alice@10~1"]
    unknown = made_request(debugs=True, whole=False, containers=())
    (found,) = sessions([unknown], PodSeen((), (debugger(11),)))
    assert found.match.confidence == LIKELY


def test_a_debug_whose_body_is_not_recorded_is_told_by_time():
    request = debug_request(container="", whole=False)
    (found,) = sessions([request], PodSeen((), (APP, debugger(11))))
    assert (found.match.confidence, found.match.chosen.pid) == (LIKELY, 50)
    both = (APP, debugger(11), debugger(12, 0, "debugger-2", id_="d2"))
    (found,) = sessions([request], PodSeen((), both))
    assert found.match.confidence == AMBIGUOUS
    assert len(found.trees) == 2


def test_the_same_in_is_the_same_out_and_no_difference():
    requests = [exec_request("alice", 10, 10.3), debug_request(), exec_request("bob", 10.1, 10.4)]
    seen = PodSeen((entry(7, 10.1), entry(8, 10.2)), (APP, debugger(11)))
    one, other = (sessions(order, seen) for order in (requests, requests[::-1]))
    assert [session.columns() for session in one] == [session.columns() for session in other]
    assert not differs(one[0].columns(), other[0].columns())
    assert differs(one[0].columns(), {})


def ran(**more):
    made = {"container_id": "c1", "container": "app", "started": at(2), "ended": 0, "node": "n1"}
    return made | {"entry_pid": 0, "entry_start": 0} | more


def test_the_containers_own_process_is_the_one_that_the_agent_told_of():
    probe = entry(7, 5, main=True)
    (silent,) = containers([probe], [ran(entry_pid=1, entry_start=500)])
    assert (silent.main.pid, silent.main.start, silent.main.tree) == (1, 500, "c1/1/500")
    (known,) = containers([probe, entry(1, 0, start=500)], [ran(entry_pid=1, entry_start=500)])
    assert (known.main.pid, len(known.entries)) == (1, 2)


def test_what_was_not_seen_to_end_runs_unless_its_container_ended():
    app = replace(APP, tells=True)
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((entry(7, 10.1),), (app,)))
    assert (found.state, found.running) == ("ended", 1)
    assert replace(found, deeds=Deeds(over=frozenset({"c1/7/7000"}))).running == 0
    (older,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((entry(7, 10.1),), (APP,)))
    assert older.running == 0, "an agent that does not tell of ends"
    ended = replace(app, ended=at(20))
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((entry(7, 10.1),), (ended,)))
    assert found.running == 0
    attach = exec_request("alice", 10, 20, kind=ATTACH, argv=(), stdin=True)
    (found,) = sessions([attach], PodSeen((), (app,)))
    assert found.running == 0, "it ran before"


def test_a_clock_that_is_off_is_allowed_for_and_said():
    late = entry(7, 15.1, ahead=5 * NS)
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((late,), (APP,)))
    assert (found.match.confidence, found.match.chosen.pid) == (LIKELY, 7)
    assert "clock of node n1 was 5.0 s ahead" in found.match.reason
    mended = entry(7, 10.1, ahead=5 * NS)  # it was set right before that was noticed
    (found,) = sessions([exec_request("alice", 10, 10.3)], PodSeen((mended,), (APP,)))
    assert found.match.confidence == CERTAIN


def test_containers_are_made_of_trees_and_lifecycle():
    identity = {"container": "app", "container_id": "c1", "node": "n1", "seen": at(3)}
    lifecycle = [ran()]
    (found,) = containers([entry(1, 0, identity=identity), entry(7, 5, identity=identity)], lifecycle)
    assert (found.name, found.first, found.started, found.ended) == ("app", at(2), at(2), 0)
    assert found.main is not None
    assert found.main.pid == 1


def test_an_exec_that_came_later_is_not_taken_for_the_containers_own_process():
    found = Container("c1", "app", at(0), entries=(entry(9, 5),))
    assert found.main is None


def test_what_is_older_than_its_exec_entered_before():
    from keelwatch.access.sources import first_execs

    fresh = entry(1, 10, start=10 * NS)
    old = entry(2, 500, start=20 * NS)
    again = entry(1, 11, start=10 * NS)
    assert first_execs([fresh, again, old]) == [fresh]
