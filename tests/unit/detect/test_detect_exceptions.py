"""Exceptions of rules: rows of values for which a rule does not fire."""

import pytest

from keelwatch.detect import RuleErrors, parse_rules
from keelwatch.detect.samples import make_audit_event, make_event

RULE = "- rule: r\n  desc: d\n  condition: evt.type = execve\n  output: o\n  priority: DEBUG\n  exceptions:\n"
ONE = RULE + "    - name: progs\n      fields: proc.name\n      values: [cron, known]\n"
ROWS = RULE + (
    "    - name: jobs\n      fields: [proc.name, k8s.ns.name]\n      comps: [=, in]\n"
    "      values:\n        - [backup, [shop, billing]]\n        - [sync, ops]\n"
)
LIST = "- list: known\n  items: [atd]\n"


def fires(rules: str, name: str, namespace: str = "shop") -> bool:
    event = make_event({"kind": "exec", "identity": {"namespace": namespace}, "process": {"comm": name}})
    return bool(parse_rules(rules).match(event))


@pytest.mark.parametrize(
    ("name", "expected"), [("cron", False), ("atd", False), ("known", True), ("sh", True)]
)
def test_one_field(name, expected):
    assert fires(LIST + ONE, name) is expected


@pytest.mark.parametrize(
    ("name", "namespace", "expected"),
    [
        ("backup", "shop", False),
        ("backup", "billing", False),
        ("backup", "ops", True),
        ("sync", "ops", False),
        ("sync", "shop", True),
    ],
)
def test_rows(name, namespace, expected):
    assert fires(ROWS, name, namespace) is expected


@pytest.mark.parametrize("how", ["  append: true\n", "  override: {exceptions: append}\n"])
def test_rows_are_added_by_name(how):
    more = "- rule: r\n" + how + "  exceptions:\n    - name: jobs\n      values: [[tidy, shop]]\n"
    assert not fires(ROWS + more, "tidy")
    assert not fires(ROWS + more, "backup")
    assert fires(ROWS + more, "tidy", "ops")


def test_without_values_nothing_is_excepted():
    assert fires(RULE + "    - name: later\n      fields: [proc.name]\n", "sh")


def test_of_audit_rules():
    text = ONE.replace("evt.type = execve", "ka.verb exists").replace("proc.name", "ka.user.name")
    rules = parse_rules(
        text.replace("  priority", "  source: k8s_audit\n  priority").replace("cron", "alice")
    )
    assert rules.match(make_audit_event({"kind": "audit"})) == []
    assert rules.match(make_audit_event({"kind": "audit", "user": {"username": "bob"}}))


@pytest.mark.parametrize(
    ("exception", "message"),
    [
        ("    - fields: proc.name\n", "7:7: the exception has no name"),
        ("    - name: x\n      fields: proc.nam\n      values: [a]\n", "unknown field 'proc.nam'"),
        (
            "    - name: x\n      fields: [proc.name, k8s.ns.name]\n      values: [[a]]\n",
            "9:17: exception 'x': 1 values",
        ),
        (
            "    - name: x\n      fields: [proc.name]\n      comps: [like]\n      values: [[a]]\n",
            "unknown operator",
        ),
        (
            "    - name: x\n      fields: [proc.name]\n      comps: [=, =]\n      values: [[a]]\n",
            "1 fields and 2 comps",
        ),
        ("    - name: x\n      values: [[a]]\n", "has 0 fields"),
        ("    - name: x\n      fields: [evt.rawres]\n      values: [[a]]\n", "is a number, not 'a'"),
        ("    - x\n", "an exception is a mapping"),
    ],
)
def test_mistakes(exception, message):
    with pytest.raises(RuleErrors) as caught:
        parse_rules(RULE + exception)
    assert message in str(caught.value)
