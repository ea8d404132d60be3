"""Changed rule files are taken up, and mistakes in them change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from keelwatch.agent.rules_watch import RulesWatch
from keelwatch.detect import RuleErrors, RuleSet
from keelwatch.detect.reload import RuleFiles, brief

RULE = """
- rule: {name}
  desc: a test
  condition: evt.type = execve and proc.name = {name}
  output: ran
  priority: WARNING
"""


class Seen:
    """A folder of rules as a ConfigMap volume has it, a watch over it, and what the watch said."""

    def __init__(self, folder: Path) -> None:
        self.mount = folder / "rules"
        self.mount.mkdir()
        self.generation = 0
        self.put(RULE.format(name="first"))
        self.taken: list[RuleSet] = []
        self.told: list[tuple[str, dict[str, object]]] = []
        self.files = RuleFiles([self.mount], default_rules=False)
        self.watch = RulesWatch(self.files, self.taken.append, lambda *said: self.told.append(said))

    def put(self, text: str) -> None:
        """Swap the whole folder by renaming a link, as the kubelet does."""
        self.generation += 1
        data = self.mount / f"..{self.generation}"
        data.mkdir()
        (data / "own.yaml").write_text(text)
        beside = self.mount / "..data_tmp"
        beside.symlink_to(data.name)
        beside.replace(self.mount / "..data")
        if not (self.mount / "own.yaml").is_symlink():
            (self.mount / "own.yaml").symlink_to("..data/own.yaml")


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(tmp_path)


def test_nothing_changes_nothing(seen: Seen) -> None:
    seen.watch.look()
    seen.put(RULE.format(name="first"))  # new files, the same text
    seen.watch.look()
    assert not seen.taken
    assert not seen.told


def test_a_change_is_taken_up_once(seen: Seen) -> None:
    seen.put(RULE.format(name="first") + RULE.format(name="second"))
    seen.watch.look()
    seen.watch.look()
    assert [[rule.name for rule in rules.rules] for rules in seen.taken] == [["first", "second"]]
    assert seen.told == [("rules_loaded", {"rules": 2})]
    assert (len(seen.files.rules.rules), seen.files.reloads) == (2, 1)


def test_a_mistake_keeps_the_rules_and_says_where_it_is(seen: Seen) -> None:
    seen.put(RULE.format(name="second").replace("evt.type", "evt.tipe"))
    seen.watch.look()
    assert not seen.taken
    [(kind, detail)] = seen.told
    assert kind == "rules_refused"
    assert "own.yaml:4:" in str(detail["errors"])
    assert "evt.tipe" in seen.files.problem
    assert (len(seen.files.rules.rules), seen.files.refused) == (1, 1)


def test_mending_the_mistake_takes_the_rules_up(seen: Seen) -> None:
    seen.put("- rule: [")
    seen.watch.look()
    seen.put(RULE.format(name="third"))
    seen.watch.look()
    assert [rule.name for rule in seen.taken[0].rules] == ["third"]
    assert seen.files.problem == ""
    assert [kind for kind, _ in seen.told] == ["rules_refused", "rules_loaded"]


def test_a_file_that_goes_takes_its_rules_along(seen: Seen) -> None:
    (seen.mount / "own.yaml").unlink()
    seen.watch.look()
    assert [list(rules.rules) for rules in seen.taken] == [[]]


def test_rules_that_were_wrong_from_the_beginning(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(RULE.format(name="first").replace("evt.type", "evt.tipe"))
    with pytest.raises(RuleErrors):
        RuleFiles([own])
    with pytest.raises(RuleErrors):
        RuleFiles([own], default_rules=False, fallback=True)
    files = RuleFiles([own], fallback=True)
    assert len(files.rules.rules) > 30
    assert "own.yaml:4:" in files.problem
    told: list[str] = []
    watch = RulesWatch(files, lambda _: None, lambda kind, _: told.append(kind))
    watch.start()
    watch.stop()
    assert (told, files.refused) == (["rules_refused"], 1)


def test_a_change_between_loading_and_watching_is_seen(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(RULE.format(name="first"))
    files = RuleFiles([own], default_rules=False)
    own.write_text(RULE.format(name="second"))
    taken: list[RuleSet] = []
    RulesWatch(files, taken.append, lambda *_: None).look()
    assert [rule.name for rules in taken for rule in rules.rules] == ["second"]


def test_many_mistakes_in_a_line() -> None:
    assert brief("a.yaml:1:1: no") == "a.yaml:1:1: no"
    assert brief("a.yaml:1:1: no\nb.yaml:2:1: no\nb.yaml:3:1: no") == "a.yaml:1:1: no (and 2 more)"
    assert len(brief("x" * 5000)) <= 301
