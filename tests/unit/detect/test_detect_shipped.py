"""Our own rules do what their samples say, and each has samples of both sorts."""

from pathlib import Path

import pytest

from keelwatch.detect import (
    PRIORITIES,
    RuleErrors,
    default_rules_dir,
    document,
    load,
    load_rules,
    output,
    parser,
    resolve,
)
from keelwatch.detect.check import check_rules
from keelwatch.detect.errors import Problems
from keelwatch.detect.operators import OPERATORS
from keelwatch.detect.samples import load_samples, sample_file
from keelwatch.model.event import Event

RULES = default_rules_dir()
FALCO = Path(__file__).parents[2] / "golden" / "falco"
FILES = sorted(RULES.glob("*.yaml"))


def test_the_samples_hold():
    report = check_rules([RULES])
    assert report.errors == []
    assert report.warnings == []
    assert report.without_samples == []


@pytest.mark.parametrize(
    "file", [file for file in FILES if "rule:" in file.read_text()], ids=lambda file: file.stem
)
def test_every_rule_has_samples_of_both_sorts_in_its_own_file(file):
    problems = Problems()
    samples = load_samples(sample_file(file), problems)
    rules = {rule.name for rule in load_rules([RULES]).rules if rule.place.file == str(file)}
    assert problems.errors == []
    assert {sample.rule for sample in samples if sample.fires} == rules
    assert {sample.rule for sample in samples if not sample.fires} == rules


def test_a_wrong_sample_is_noticed(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "x.yaml").write_text(
        "- rule: r\n  desc: d\n  condition: evt.type=execve\n  output: o\n  priority: DEBUG\n"
    )
    (tmp_path / "tests" / "x.yaml").write_text(
        "- rule: r\n  fires: [{name: n, event: {kind: unlink}}]\n  silent: [{name: m, event: {kind: exec}}]\n"
    )
    messages = [error.message for error in check_rules([tmp_path]).errors]
    assert messages == ["rule 'r' does not fire on 'n'", "rule 'r' fires on 'm'"]
    (tmp_path / "tests" / "x.yaml").write_text(
        "- rule: r\n  fires: [{name: n, event: {kind: exec, colour: red}}]\n"
    )
    assert "has no colour" in check_rules([tmp_path]).errors[0].message


def test_nothing_fires_while_the_runtime_sets_a_container_up():
    rules = load_rules([RULES])
    for file in FILES:
        samples = load_samples(sample_file(file), Problems()) if sample_file(file).is_file() else []
        for sample in samples:
            if isinstance(sample.event, Event) and sample.event.identity.container_id:
                sample.event.phase = "setup"
                assert rules.match(sample.event) == [], sample.name


def test_every_rule_says_where_it_belongs():
    for rule in load_rules([RULES]).rules:
        assert rule.priority in PRIORITIES
        assert any(tag.startswith("mitre_") for tag in rule.tags), rule.name
        assert any(tag.startswith("T1") for tag in rule.tags), rule.name
        assert "pci_8.2_containers" in rule.tags, rule.name
        shown = {field.name for field in rule.output.fields}
        named = {"ka.sourceips"} if rule.source == "k8s_audit" else {"proc.exeline", "user.uid"}
        assert named <= shown or rule.priority == "NOTICE", rule.name
        columns = {
            "kw.story",
            "k8s.ns.name",
            "k8s.pod.name",
            "kw.workload",
            "container.name",
            "container.image",
        }
        assert not shown & columns, f"{rule.name}: every alert has these as fields of its own"
        assert len(rule.desc.split()) > 5, rule.name


@pytest.mark.parametrize(
    ("file", "rules", "able"),
    [
        ("falco_rules", 25, 18),
        ("falco-incubating_rules", 31, 21),
        ("falco-sandbox_rules", 37, 24),
        ("k8s_audit_rules", 48, 48),
    ],
)
def test_rules_that_are_already_written_load(file, rules, able):
    """The upstream files load unchanged; those that cannot fire yet say why."""
    found = load_rules([FALCO / f"{file}.yaml"])
    assert len(found.rules) == rules
    assert sum(bool(rule.kinds) for rule in found.rules) == able
    silent = {rule.name for rule in found.rules if not rule.kinds and rule.enabled}
    warned = "\n".join(str(warning) for warning in found.warnings)
    assert all(f"rule {name!r} never fires" in warned for name in silent)


def test_they_load_together_with_ours():
    found = load_rules([RULES, *sorted(FALCO.glob("falco*.yaml"))])
    assert len(found.rules) > 36 + 80


def test_a_broken_rule_stops_loading(tmp_path):
    (tmp_path / "bad.yaml").write_text("- rule: x\n  condition: nope\n")
    with pytest.raises(RuleErrors):
        load_rules([RULES, tmp_path])


def test_the_reference_lists_the_rules_as_they_are():
    page = (Path(__file__).parents[3] / "docs/reference/rules.md").read_text()
    assert page == document.updated(page), "run: python -m keelwatch.detect.document docs/reference/rules.md"


def test_the_reference_names_every_operator_and_limit():
    page = (Path(__file__).parents[3] / "docs/reference/rules.md").read_text()
    assert {operator for operator in OPERATORS if f"`{operator}" not in page} == set()
    for number in (
        load.MAX_ITEMS,
        load.MAX_ALIASES,
        resolve.MAX_NODES,
        resolve.MAX_DEPTH,
        resolve.MAX_VALUES,
    ):
        assert f"{number:,}" in page
    assert f"{parser.MAX_CONDITION >> 10} KiB" in page
    assert f"{parser.MAX_DEPTH} parentheses" in page
    assert f"{output.MAX_VALUE:,} characters" in page
