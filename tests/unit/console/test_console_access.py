"""The pages of access sessions: what users and containers wrote is shown, and never obeyed."""

from __future__ import annotations

from typing import Any

from keelwatch.console.views.access import DEEPEST, access_page, rows_of, session_page
from keelwatch.console.views.format import environment
from keelwatch.kit.text import by_whom

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"


def session(**more: Any) -> dict[str, Any]:
    texts = (
        "id",
        "user",
        "impersonated_user",
        "user_agent",
        "through",
        "command",
        "debug_image",
        "target_container",
        "reason",
        "cluster",
        "node",
        "namespace",
        "workload_kind",
        "workload",
        "pod",
        "container",
        "container_id",
        "image",
        "team",
    )
    made: dict[str, Any] = dict.fromkeys(texts, HOSTILE)
    made |= {
        "time": "2026-11-23T20:00:00.000000000Z",
        "ended": "2026-11-23T20:00:01.500000000Z",
        "kind": "exec",
    }
    made |= {"groups": [HOSTILE], "source_ips": [HOSTILE], "requests": [HOSTILE], "confidence": "likely"}
    made |= {
        "events": 1,
        "alerts": 0,
        "files": 0,
        "running": 1,
        "tty": 0,
        "stdin": 1,
        "entry_pid": 3,
        "candidates": [],
    }
    return made | more


def node(pid: int, *children: dict[str, Any]) -> dict[str, Any]:
    doing = {"time": "2026-11-23T20:00:01Z", "kind": "open", "path": HOSTILE, "old_path": "", "drift": "new",
             "result": -13, "file_container": HOSTILE}  # fmt: skip
    return {"pid": pid, "time": "2026-11-23T20:00:00Z", "name": HOSTILE, "cmdline": HOSTILE, "exe": HOSTILE,
            "images": [], "doings": [doing], "more": 3, "children": list(children)}  # fmt: skip


def rendered(template: str, **values: Any) -> str:
    shared = {"query": {}, "filters": {"since": "24h"}, "problem": "", "csrf": "", "wide": False, "now": None}
    made = environment()
    made.filters["clock"] = str
    return made.get_template(template).render(shared | values)


def test_hostile_text_is_shown_and_not_obeyed():
    listed = rendered("access.html", **access_page([session()]), kinds=("exec",), confidences=("likely",))
    candidates = [{"cmdline": HOSTILE, "pid": 1, "container": HOSTILE, "node": HOSTILE}] * 2
    whole = session(tree=[node(1)], alert_records=[], cut=False, candidates=candidates)
    one = rendered("session.html", **session_page(whole))
    for page in (listed, one):
        assert "alert(1)" in page
        assert "<script>alert" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
    assert "failed (-13)" in one
    assert "1 s" in listed
    assert "left running" in listed
    assert "left running" in one


def test_an_open_session_says_so():
    assert "open" in rendered("access.html", **access_page([session(ended=None)]), kinds=(), confidences=())
    assert "still open" in rendered(
        "session.html", **session_page(session(ended=None, tree=[], alert_records=[], cut=False))
    )


def test_a_tree_may_be_deeper_than_the_stack():
    deepest = node(5000)
    for pid in range(4999, 0, -1):
        deepest = node(pid, deepest)
    rows = rows_of(deepest)
    assert [row["pid"] for row in rows] == list(range(1, 5001))
    assert max(row["depth"] for row in rows) == DEEPEST


def test_whose_doing_it_was_in_words():
    alice, bob = {"user": "alice", "confidence": "certain"}, {"user": "bob", "confidence": "ambiguous"}
    assert by_whom({"access": [alice]}) == "alice"
    assert by_whom({"access": [alice | {"confidence": "likely"}]}) == "alice (likely)"
    assert by_whom({"access": [alice, bob]}) == "alice or bob (ambiguous)"
    assert by_whom({"access": [alice | {"impersonated_user": "root"}]}) == "alice as root"
    assert by_whom({"access": [], "user": "carol"}) == "carol"
    assert by_whom({}) == ""
