"""Coverage from a real engine's rows: objects as the inventory's own code writes them, agents' records."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import randbytes
from typing import Any

import orjson
import pytest
import zstandard

from keelwatch.evidence.canary import BOUND, INTERVAL
from keelwatch.evidence.canary_watch import SETTLING, CanaryWatch
from keelwatch.evidence.fetch import Fetch
from keelwatch.evidence.report import Coverage, Policy
from keelwatch.evidence.sequence import Sequences
from keelwatch.evidence.signs import Sign, SignKeeper
from keelwatch.ingest.recorder import Recorder
from keelwatch.inventory.objects import Container, KubeObject
from keelwatch.inventory.rows import Resolved, to_row
from keelwatch.kit import clock
from keelwatch.model.batch import TABLES, decode_frame
from keelwatch.model.gap import Gap
from keelwatch.model.identity import Identity
from keelwatch.query import coverage as sql
from keelwatch.query.coverage import Where
from keelwatch.query.errors import QuestionError
from keelwatch.query.times import rfc3339
from keelwatch.ship.draft import Draft
from keelwatch.ship.spool import Spool
from keelwatch.store.chdb import EmbeddedDatabase
from keelwatch.store.engines import EMBEDDED
from keelwatch.store.migrate import migrate

S = 1_000_000_000
START = 1_790_000_000 * S
NOW = START + 3600 * S
TABLES_HERE = ("objects", "lifecycle", "gaps", "agent_signs", "events", "logs")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedDatabase]:
    found = EmbeddedDatabase(tmp_path_factory.mktemp("coverage") / "store")
    migrate(found, EMBEDDED)
    yield found
    found.close()


class World:
    """A cluster and its agents, told row by row; `heard` is what the hub heard of agents just now."""

    def __init__(self, database: EmbeddedDatabase, folder: Path) -> None:
        (folder / "ingest").mkdir()
        self.database = database
        self.recorder = Recorder(database, folder, folder / "ingest")
        self.heard: dict[str, float] = {}

    def object(self, one: KubeObject, *, event: str = "added", time: int = START, team: str = "") -> None:
        owner = Resolved("Deployment", one.name.rpartition("-")[0], team) if one.kind == "Pod" else Resolved()
        self.recorder.write("objects", [to_row(event, time, "prod", one, owner)])

    def node(self, name: str, system: str = "linux") -> None:
        detail = (("system", system),)
        self.object(KubeObject("Node", "", name, f"uid-{name}", created=START, phase="Ready", detail=detail))

    def pod(
        self, name: str, node: str, *runs: Container, namespace: str = "shop", runtime: str = ""
    ) -> KubeObject:
        detail = (("runtime_class", runtime),) if runtime else ()
        one = KubeObject("Pod", namespace, name, f"uid-{name}", created=START, node=node, phase="Running",
                         containers=runs, detail=detail)  # fmt: skip
        self.object(one, team="till")
        return one

    def agent(self, node: str, at: int = START, **detail: str) -> None:
        """`detail` as the agent's start has it. Its spool is the recorder's: there is one agent here."""
        self.lifecycle("agent_started", at, Identity(cluster="prod", node=node), **detail)
        self.heard[self.recorder.spool] = NOW / S

    def lifecycle(self, what: str, at: int, identity: Identity, **detail: Any) -> None:
        row = {
            **identity.columns(),
            "time": at,
            "kind": what,
            "labels": {},
            "detail": orjson.dumps(detail).decode(),
        }
        self.recorder.write("lifecycle", [row])

    def took_up(self, container_id: str, node: str, at: int, **names: Any) -> None:
        known = {"kind": "container", "log": "cri", "taken_up": at + S, "log_files": 1}
        whose = Identity("prod", node, container_id=container_id, **names)
        self.lifecycle("container_started", at, whose, **known)

    def report(self, *, scope: str = "", **asked: str) -> dict[str, Any]:
        times = iter([START])  # when the hub started, and since then it is NOW
        coverage = Coverage(self.database, lambda: self.heard, Policy(scope), lambda: next(times, NOW))
        return coverage.report({"since": "2h"} | asked)

    def causes(self, container_id: str, kind: str = "events", **asked: str) -> list[str]:
        one = next(one for one in self.report(**asked)["containers"] if one["container_id"] == container_id)
        return [part["cause"] for part in one[kind]["missing"]]


@pytest.fixture
def world(database: EmbeddedDatabase, tmp_path: Path) -> Iterator[World]:
    yield World(database, tmp_path)
    for table in TABLES_HERE:
        database.execute(f"TRUNCATE TABLE {table}")


def run(container_id: str, begin: int = START, **more: Any) -> Container:
    return Container("app", "img:1", container_id=container_id, state="running", started=begin, **more)


def test_nothing_is_known_of_an_empty_store(world: World) -> None:
    report = world.report()
    assert report["total"]["percent"] is None
    assert report["groups"] == report["containers"] == report["nodes"] == report["canaries"] == []
    assert {one["table"] for one in report["sequences"]} == set(TABLES)


def test_a_node_without_an_agent_is_missing_wholly_and_named(world: World) -> None:
    world.node("n1")
    world.pod("checkout-1", "n1", run("a" * 64))
    report = world.report()
    assert report["inventories"] == ["prod"]
    assert report["total"]["percent"] == 0
    assert report["total"]["ran"] == 3600
    [group] = report["groups"]
    assert (group["namespace"], group["workload_kind"], group["workload"]) == (
        "shop",
        "Deployment",
        "checkout",
    )
    assert group["events"]["missing"] == group["logs"]["missing"] == {"no_agent": 3600}
    [node] = report["nodes"]
    assert (node["node"], node["state"], node["last"]) == ("n1", "no_agent", None)
    assert report["unwatched_nodes"] == 1


def test_a_container_that_both_know_ran_as_its_runtime_says(world: World) -> None:
    world.node("n1")
    world.agent("n1", START - 60 * S)
    world.pod("checkout-1", "n1", run("a" * 64))
    world.took_up("a" * 64, "n1", START + 700_000_000)  # the API server has whole seconds
    report = world.report()
    assert report["total"]["percent"] == 100
    assert report["total"]["complete"] == 1
    [one] = report["containers"]
    assert one["known_by"] == "kubernetes+agent"
    assert one["team"] == "till"
    assert one["ran"][0]["from"].endswith(".700000000Z")


def test_one_that_only_the_api_server_knows_had_its_log_not_followed(world: World) -> None:
    world.node("n1")
    world.agent("n1", START - 60 * S)
    world.pod("checkout-1", "n1", run("a" * 64))
    assert world.causes("a" * 64, "events") == []
    assert world.causes("a" * 64, "logs") == ["not_followed"]


def test_restarts_are_containers_of_their_own(world: World) -> None:
    world.node("n1")
    first = dict(previous_id="b" * 64, previous_started=START, previous_finished=START + 600 * S)
    world.pod("checkout-1", "n1", run("a" * 64, START + 610 * S, restart=1, **first))
    found = {one["container_id"][0]: one["ran"] for one in world.report()["containers"]}
    assert found.keys() == {"a", "b"}
    assert world.report(by="container")["total"]["ran"] == 600 + 2990


def test_a_deleted_pod_ended_when_it_was_deleted(world: World) -> None:
    pod = world.pod("checkout-1", "n1", run("a" * 64))
    world.object(pod, event="deleted", time=START + 60 * S)
    assert world.report()["total"]["ran"] == 60
    assert world.report(since="30m")["containers"] == []


def test_windows_and_sandboxes(world: World) -> None:
    world.node("w1", "windows")
    world.node("n1")
    world.agent("n1", START - 60 * S)
    world.pod("web-1", "w1", run("a" * 64))
    world.pod("safe-1", "n1", run("b" * 64), runtime="kata-qemu")
    world.took_up("b" * 64, "n1", START)
    assert world.causes("a" * 64) == world.causes("a" * 64, "logs") == ["windows_node"]
    assert world.causes("b" * 64) == ["sandboxed_runtime"]
    assert world.causes("b" * 64, "logs") == []


def test_scope_is_a_selector_of_namespaces(world: World) -> None:
    for name, labels in (("shop", (("pci", "in"),)), ("blog", ())):
        world.object(KubeObject("Namespace", "", name, f"uid-{name}", labels=labels))
        world.pod(f"{name}-1", "n1", run(name[0] * 64), namespace=name)
    world.took_up("c" * 64, "n9", START)  # of no namespace that is known
    assert {one["container_id"][0] for one in world.report()["containers"]} == {"s", "b", "c"}
    assert {one["container_id"][0] for one in world.report(scope="pci=in")["containers"]} == {"s", "c"}
    everything = Coverage(world.database, dict, Policy("pci=in"), lambda: NOW).report({"scope": "all"})
    assert everything["total"]["containers"] == 3


def test_filters_and_groups(world: World) -> None:
    world.pod("checkout-1", "n1", run("a" * 64))
    world.pod("cart-1", "n2", run("b" * 64), namespace="blog")
    for asked, expected in (
        ({"namespace": "shop"}, "a"),
        ({"node": "n2"}, "b"),
        ({"workload": "deploy/cart"}, "b"),
        ({"workload": "sts/cart"}, ""),
        ({"pod": "checkout-1"}, "a"),
        ({"team": "till"}, "ab"),
        ({"cluster": "other"}, ""),
    ):
        found = world.report(**asked)["containers"]
        assert "".join(sorted(one["container_id"][0] for one in found)) == expected, asked
    assert [group["team"] for group in world.report(by="team")["groups"]] == ["till"]
    assert {group["node"] for group in world.report(by="node")["groups"]} == {"n1", "n2"}
    limited = world.report(by="node", limit="1")
    assert (len(limited["groups"]), limited["group_count"], len(limited["containers"])) == (1, 2, 1)


def test_an_answer_in_parts_is_the_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.node("n1")
    world.agent("n1", START - 60 * S)
    before = dict(previous_id="f" * 64, previous_started=START, previous_finished=START + 600 * S)
    for number in range(12):
        again = before if number == 0 else {}
        world.pod(f"checkout-{number}", "n1", run(f"{number:064}", START + 610 * S, **again))
        if number % 2:
            world.took_up(f"{number:064}", "n1", START + 610 * S)
    world.took_up("e" * 64, "n1", START)
    for by in ("workload", "container"):
        whole = world.report(by=by)
        with monkeypatch.context() as small:
            small.setattr(sql, "PART", 2)
            assert len(list(Fetch(world.database, dict)._parts(Where(START, NOW)))) > 5
            assert world.report(by=by) == whole
    assert whole["total"]["containers"] == 14


def test_more_containers_than_can_be_answered_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.pod(f"checkout-{number}", "n1", run(f"{number:064}"))
    monkeypatch.setattr(sql, "PART", 1)
    monkeypatch.setattr(sql, "MAX_CONTAINERS", 3)
    assert world.report()["total"]["containers"] == 3
    monkeypatch.setattr(sql, "MAX_CONTAINERS", 2)
    with pytest.raises(QuestionError, match="more than 2 rows"):
        world.report()


@pytest.mark.parametrize(
    "asked",
    [{"by": "x"}, {"since": "tomorrow"}, {"limit": "-1"}, {"nonsense": "1"}, {"scope": "a b"},
     {"workload": "x/y"}, {"since": "1h", "until": "2h"}],
)  # fmt: skip
def test_what_cannot_be_asked(world: World, asked: dict[str, str]) -> None:
    with pytest.raises(QuestionError):
        world.report(**asked)


def test_losses_of_the_hub_and_the_agent_are_apart_from_what_was_observed(world: World) -> None:
    world.agent("n1", START - 60 * S)
    world.took_up("a" * 64, "n1", START)
    of_node, of_hub = Identity(cluster="prod", node="n1"), Identity(node="n1")
    world.recorder.record([
        Gap("exec", "ring_full", START + 10 * S, START + 12 * S, 9, "events", of_node),
        Gap("logs", "rejected", START + 20 * S, START + 21 * S, 5, "rows", of_hub),
        Gap("open", "truncated", START + 30 * S, START + 40 * S, 5, "events", of_node),
    ])  # fmt: skip
    total = world.report()["total"]
    assert (total["events"]["with_loss"], total["events"]["losses"]) == (2, {"ring_full": 2})
    assert total["logs"]["with_loss"] == 1
    assert total["events"]["percent"] < 100
    assert not total["events"]["missing"]
    assert total["complete"] == 0


@pytest.mark.parametrize(
    "names",
    [
        {"pod_uid": "u1"},
        {"namespace": "shop", "pod": "cart-0"},
        {"namespace": "shop", "pod": "cart-0", "pod_uid": "u1"},
    ],
)
def test_a_loss_of_one_pod_is_none_of_its_neighbours(world: World, names: dict[str, str]) -> None:
    world.agent("n1", START - 60 * S)
    for number in range(3):
        pod = {"namespace": "shop", "pod": f"cart-{number}", "pod_uid": f"u{number + 1}"}
        world.took_up(f"{number:064}", "n1", START, **pod)
    whose = Identity("prod", "n1", **names)  # type: ignore[arg-type]  # all of them are text
    world.recorder.record([Gap("logs", "log_vanished", START + 60 * S, START + 60 * S, 9, "bytes", whose)])
    lossy = {one["container_id"] for one in world.report()["containers"] if one["logs"]["with_loss"]}
    assert lossy == {f"{0:064}"}


def test_a_loss_of_a_pod_that_only_the_api_server_knows_finds_it_by_either_name(world: World) -> None:
    world.node("n1")
    world.agent("n1", START - 60 * S)
    for name in ("cart-0", "cart-1"):
        world.pod(name, "n1", run(name[-1] * 64))
    for names in ({"pod_uid": "uid-cart-0"}, {"namespace": "shop", "pod": "cart-0"}):
        whose = Identity("prod", "n1", **names)  # type: ignore[arg-type]  # all of them are text
        world.recorder.record([Gap("exec", "ring_full", START + 60 * S, START + 61 * S, 9, "events", whose)])
        lossy = {one["container_id"] for one in world.report()["containers"] if one["events"]["with_loss"]}
        assert lossy == {"0" * 64}
        world.database.execute("TRUNCATE TABLE gaps")


@pytest.mark.parametrize("cluster", ["", "prod"])
@pytest.mark.parametrize("cause", ["sequence", "rejected", "row_count"])
def test_the_hubs_losses_count_in_their_cluster_though_it_does_not_always_know_it(
    world: World, cause: str, cluster: str
) -> None:
    world.agent("n1", START - 60 * S)
    world.took_up("a" * 64, "n1", START)
    whose = Identity(cluster=cluster, node="n1")
    world.recorder.record([Gap("events", cause, START + 10 * S, START + 20 * S, 2, "batches", whose)])
    for asked in ({}, {"cluster": "prod"}, {"node": "n1"}, {"cluster": "prod", "node": "n1"}):
        total = world.report(**asked)["total"]
        assert total["events"]["losses"] == {cause: 10}, asked
        assert total["percent"] < 100


def test_signs_of_life_outlive_the_hub(world: World) -> None:
    world.agent("n1", START)
    world.took_up("a" * 64, "n1", START)
    world.heard.clear()
    assert world.causes("a" * 64) == ["agent_silent"]
    sign = Sign(world.recorder.spool, "n1", (NOW - 10 * S) / S)
    keeper = SignKeeper(lambda: [sign], world.recorder.write)
    assert keeper.keep() == 1
    assert keeper.keep() == 0  # it did not move
    assert world.causes("a" * 64) == []
    assert world.report()["total"]["events"]["open"] == pytest.approx(10, abs=0.01)


def cut_off(world: World, begin: int, end: int) -> None:
    """The hub hears of the agent until `begin`, and again at `end`; in between it starts anew."""
    heard = [Sign(world.recorder.spool, "n1", begin / S)]
    assert SignKeeper(lambda: heard, world.recorder.write).keep() == 1
    heard = [Sign(world.recorder.spool, "n1", end / S)]
    coverage = Coverage(world.database, dict, Policy(), lambda: NOW)
    assert SignKeeper(lambda: heard, world.recorder.write, coverage.signs).keep() == 1


def test_a_node_that_was_cut_off_from_the_hub_is_told_from_one_whose_agent_was_down(world: World) -> None:
    world.agent("n1", START)
    world.took_up("a" * 64, "n1", START)
    cut_off(world, START + 600 * S, START + 1500 * S)
    report = world.report()
    [one] = report["cut_off"]
    assert (one["cluster"], one["node"], one["seconds"]) == ("prod", "n1", 900)
    assert report["total"]["percent"] == 100
    assert not report["total"]["events"]["missing"]
    hub_down = Gap("hub", "hub_down", START + 600 * S, START + 1100 * S, 500, "seconds", Identity())
    down = Gap(
        "all", "agent_down", START + 1200 * S, START + 1490 * S, 1, "intervals", Identity("prod", "n1")
    )
    world.recorder.record([hub_down])
    report = world.report()
    assert [(one["seconds"]) for one in report["cut_off"]] == [400]
    assert len(report["hub_down"]) == 1
    assert report["total"]["percent"] == 100
    world.recorder.record([down])
    report = world.report()
    assert report["cut_off"] == []  # what is left is no longer than a sign of life may take
    assert report["total"]["events"]["missing"] == {"agent_down": 290}


def test_what_a_full_spool_dropped_while_the_hub_was_away_is_a_loss_of_that_time(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real spool: the hub is away, it fills up, events are dropped; then the hub comes back."""
    world.agent("n1", START)
    world.took_up("a" * 64, "n1", START)
    cut_off(world, START + 600 * S, START + 1500 * S)
    now = [START + 700 * S]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    spool = Spool(tmp_path / "spool", Identity("prod", "n1"), limit=1 << 20)
    while not spool.losses:
        spool.append([Draft("events", "2026-09-21", 1, "rows", randbytes(1 << 15))])
    now[0] += 60 * S
    spool.append([Draft("events", "2026-09-21", 1, "rows", randbytes(1 << 16))])
    spool.flush()
    for frame in spool.pending(1 << 30, "prompt"):
        header, body, _ = decode_frame(memoryview(frame), 0)
        lines = zstandard.ZstdDecompressor().decompressobj().decompress(body).splitlines()
        world.recorder.write(header.table, [orjson.loads(line) for line in lines])
    spool.close()
    report = world.report()
    [one] = report["containers"]
    assert {part["cause"] for part in one["events"]["with_loss"]} == {"spool_full"}
    assert one["events"]["with_loss"][0]["from"] == rfc3339(START + 700 * S)
    assert one["events"]["with_loss"][-1]["to"][:19] == rfc3339(START + 760 * S)[:19]
    assert not one["events"]["missing"]
    assert not one["logs"]["with_loss"]  # logs wait in their files
    assert [(cut["from"], cut["to"]) for cut in report["cut_off"]] == [
        (rfc3339(START + 600 * S), rfc3339(START + 1500 * S))
    ]


def test_holes_in_the_sequence(world: World) -> None:
    for number in range(5):
        world.took_up(f"{number:064}", "n1", START)
    now = time.time_ns()
    where = Where(now - 3600 * S, now)  # by the days of the batches, which are today's

    def missing() -> dict[str, int]:
        return {one["table"]: one["missing"] for one in Sequences(world.database).records(where)}

    assert set(missing().values()) == {0}
    world.database.execute("ALTER TABLE lifecycle DELETE WHERE seq = 3 SETTINGS mutations_sync = 2")
    assert {table: count for table, count in missing().items() if count} == {"lifecycle": 1}
    spool = world.recorder.spool
    told = f"spool {spool} seq 3: set aside by the hub"
    world.recorder.record([Gap("lifecycle", "rejected", NOW, NOW, 1, "rows", Identity(), told)])
    assert set(missing().values()) == {0}


CANARY = Identity("prod", "n1", "keelwatch", "canary-x", "u", "keelwatch-canary", "c" * 64)


def beats(world: World, *, lines: tuple[int, ...], programs: tuple[int, ...], begin: int) -> None:
    said = {number: begin + (number - 1) * INTERVAL for number in range(1, 100)}
    world.lifecycle("container_started", begin, CANARY, taken_up=begin, kind="container", log="cri")
    world.recorder.write("logs", [
        {**CANARY.columns(), "time": said[number], "stream": "stdout",
         "message": f"keelwatch-canary beat={number} time=x program=/tmp/keelwatch-canary-{number}"}
        for number in lines
    ])  # fmt: skip
    world.recorder.write("events", [
        {**CANARY.columns(), "time": said[number], "kind": "exec", "result": 0,
         "exe": f"/tmp/keelwatch-canary-{number}"}
        for number in programs
    ])  # fmt: skip


def test_a_canary_whose_beat_is_late_is_a_gap_once(world: World) -> None:
    begin = NOW - 5 * INTERVAL
    beats(world, lines=(1, 2, 3, 4, 5), programs=(1, 2, 4, 5), begin=begin)
    [one] = world.report()["canaries"]
    assert (one["node"], one["running"], one["due"]) == ("n1", True, 4)
    assert (one["logs"]["arrived"], one["logs"]["missing"]) == (5, [])
    assert (one["events"]["arrived"], one["events"]["missing"]) == (4, [3])
    clock = [NOW - SETTLING]
    watch = CanaryWatch(world.database, world.recorder.record_once, lambda: clock[0])
    clock[0] = NOW
    assert watch.look() == 1
    assert watch.look() == 0
    again = CanaryWatch(world.database, world.recorder.record_once, lambda: clock[0])
    assert again.look() == 0  # the hub has just started: what agents kept may still come
    clock[0] = NOW + BOUND  # meanwhile nothing more came
    [gap] = world.database.query("SELECT what, cause, detail, container_id FROM gaps")
    assert (gap["what"], gap["cause"], gap["container_id"]) == ("exec", "canary_missing", "c" * 64)
    assert gap["detail"] == f"beat 3 of canary {'c' * 12}"


def test_a_canary_that_fell_silent_misses_each_beat_since_then_and_one_that_ended_none(world: World) -> None:
    begin = NOW - 5 * INTERVAL
    beats(world, lines=(1, 2), programs=(1, 2), begin=begin)
    [one] = world.report()["canaries"]
    assert one["logs"]["missing"] == one["events"]["missing"] == [3, 4]
    ended = replace(CANARY)
    world.lifecycle("container_ended", begin + 2 * INTERVAL - S, ended)
    [one] = world.report()["canaries"]
    assert one["logs"]["missing"] == []
    assert not one["running"]


def hear(world: World, *, until: int, begin: int) -> None:
    """A canary that runs since `begin` and was heard every minute until then; what says that it runs, too."""
    world.lifecycle("container_started", begin, CANARY, taken_up=begin, kind="container", log="cri")
    numbers = range(1, (until - begin) // INTERVAL + 1)
    for table, row in (
        ("logs", {"stream": "stdout", "message": "keelwatch-canary beat={} time=x program=x"}),
        ("events", {"kind": "exec", "result": 0, "exe": "/tmp/keelwatch-canary-{}"}),
    ):
        world.recorder.write(table, [
            {**CANARY.columns(), "time": begin + (number - 1) * INTERVAL,
             **{name: str(value).format(number) for name, value in row.items()}}
            for number in numbers
        ])  # fmt: skip


@pytest.mark.parametrize("since", ["3m", "10m", "40m", "2h"])
def test_a_canary_that_is_silent_for_all_the_time_asked_about_misses_all_of_it(
    world: World, since: str
) -> None:
    hear(world, begin=START, until=NOW - 50 * INTERVAL)
    minutes = {"3m": 1, "10m": 8, "40m": 38, "2h": 49}[since]
    [one] = world.report(since=since)["canaries"]
    assert one["running"]
    assert one["silent"] == (since != "2h")
    for kind in ("events", "logs"):
        assert minutes <= one[kind]["missing_count"] <= minutes + 1
    assert world.report(since="1m")["canaries"][0]["due"] == 0  # nothing can be said of so short a time


@pytest.mark.parametrize("since", ["3m", "10m", "59m", "2h"])
@pytest.mark.parametrize("shift", [0, 1, 9, 31, 51, 59])
def test_a_canary_that_gets_through_misses_nothing_whatever_time_is_asked_about(
    world: World, since: str, shift: int
) -> None:
    hear(world, begin=START - shift * S, until=NOW)
    for asked in ({"since": since}, {"since": since, "until": "2m"}):
        [one] = world.report(**asked)["canaries"]
        assert (one["logs"]["missing_count"], one["events"]["missing_count"], one["silent"]) == (0, 0, False)


def test_a_canary_that_was_never_heard_is_missing_if_the_api_server_says_that_it_runs(world: World) -> None:
    world.node("n1")
    container = Container("keelwatch-canary", "img:1", container_id="d" * 64, state="running", started=START)
    pod = world.pod("canary-n1", "n1", container, namespace="keelwatch")
    world.pod("checkout-1", "n1", run("a" * 64))
    [one] = world.report(since="10m", namespace="shop")["canaries"]
    assert (one["node"], one["pod"], one["last"], one["silent"]) == ("n1", "canary-n1", None, True)
    assert one["known_by"] == "kubernetes"
    assert one["logs"]["missing"] == []  # nobody knows their numbers
    assert one["logs"]["missing_count"] == one["events"]["missing_count"] == one["due"] == 8
    assert world.report(since="10m", node="n2")["canaries"] == []
    world.object(pod, event="deleted", time=NOW - 15 * INTERVAL)
    assert world.report(since="10m")["canaries"] == []


def test_a_canary_that_has_just_started_is_given_time(world: World) -> None:
    for age, due in ((4, 0), (9, 4)):
        hear(world, begin=NOW - age * INTERVAL - S, until=0)
        assert world.report()["canaries"][0]["due"] == due
        world.database.execute("TRUNCATE TABLE lifecycle")


def test_a_silent_canary_is_a_gap_every_ten_minutes_for_as_long_as_it_is_silent(world: World) -> None:
    """The hub starts anew in between: that makes no gap twice."""
    hear(world, begin=START - INTERVAL, until=START)
    clock = [START]
    for span in (range(35), range(35, 65)):
        watch = CanaryWatch(world.database, world.recorder.record_once, lambda: clock[0])
        for minute in span:
            clock[0] = START + minute * INTERVAL + S
            watch.look()
    for what in ("exec", "logs"):
        gaps = world.database.query(
            "SELECT toUnixTimestamp64Nano(from_time) AS begin, toUnixTimestamp64Nano(to_time) AS end, amount "
            "FROM gaps WHERE what = {what:String} AND cause = 'canary_missing' ORDER BY from_time",
            {"what": what},
        )
        assert len(gaps) <= 8
        assert gaps[0]["begin"] <= START + INTERVAL
        assert gaps[-1]["end"] >= START + 55 * INTERVAL
        assert all(
            abs(b["begin"] - (a["end"] - BOUND) - INTERVAL) <= INTERVAL // 2 for a, b in pairwise(gaps)
        )
        assert 54 <= sum(gap["amount"] for gap in gaps) <= 64
