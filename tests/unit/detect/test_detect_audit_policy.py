"""The audit policy in docs/how-to/audit.md records what our rules look at."""

import re
from pathlib import Path

import pytest
import yaml

from keelwatch.detect import default_rules_dir, load_rules
from keelwatch.detect.errors import Problems
from keelwatch.detect.samples import load_samples, make_audit_event, sample_file
from keelwatch.model.audit import LEVELS, AuditEvent

PAGE = Path(__file__).parents[3] / "docs/how-to/audit.md"
RULES = default_rules_dir()
LOADED = load_rules([RULES])
FIRES = [sample for sample in load_samples(sample_file(RULES / "k8s_audit.yaml"), Problems()) if sample.fires]
NOT_RECORDED = {"a Secret that never ends", "such a Secret by server-side apply"}
"""The page says so: bodies of Secrets stay out of the record."""
BODIES = {"requestObject": "Request", "responseObject": "RequestResponse"}


EVERY_POD = "- list: workload_controllers\n  items: []\n  override: {items: replace}\n"


def policy():
    found = re.search(
        r"```yaml\n(apiVersion: audit\.k8s\.io/v1\nkind: Policy\n.*?)```", PAGE.read_text(), re.DOTALL
    )
    return yaml.safe_load(found[1])


def takes(rule, event):
    """Whether a rule of a policy is about a request (apiserver, pkg/audit/policy/checker.go)."""
    groups, verbs = rule.get("userGroups"), rule.get("verbs")
    if groups and not set(groups) & set(event.texts("user", "groups")):
        return False
    if verbs and event.text("verb") not in verbs:
        return False
    if "resources" in rule:
        return any(is_one_of(one, event.target) for one in rule["resources"])
    return "nonResourceURLs" not in rule or not event.target


def is_one_of(these, target):
    if not target or these.get("group", "") != target.get("apiGroup", ""):
        return False
    name = "/".join(target[part] for part in ("resource", "subresource") if part in target)
    return "resources" not in these or name in these["resources"]


def recorded(event):
    """The event as an API server with this policy tells it."""
    level = next(rule["level"] for rule in policy()["rules"] if takes(rule, event))
    assert level != "None"
    assert event.text("stage") not in policy()["omitStages"]
    left_out = {name for name, needs in BODIES.items() if LEVELS.index(level) < LEVELS.index(needs)}
    return AuditEvent(
        event.time, {name: part for name, part in event.raw.items() if name not in left_out}, event.identity
    )


@pytest.mark.parametrize("sample", FIRES, ids=lambda sample: f"{sample.rule}: {sample.name}")
def test_rules_fire_on_what_the_documented_policy_records(sample):
    fired = {rule.name for rule in LOADED.match(recorded(sample.event))}
    assert (sample.rule in fired) == (sample.name not in NOT_RECORDED)


def test_pods_of_controllers_are_told_one_by_one_where_templates_are_not_recorded(tmp_path):
    assert EVERY_POD in PAGE.read_text()
    (tmp_path / "own.yaml").write_text(EVERY_POD)
    user = {"username": "system:serviceaccount:kube-system:daemon-set-controller"}
    pod = make_audit_event(
        {
            "kind": "audit",
            "user": user,
            "objectRef": {"resource": "pods"},
            "requestObject": {"spec": {"hostPID": True}},
        }
    )
    assert LOADED.match(pod) == []
    assert [rule.name for rule in load_rules([RULES, tmp_path]).match(pod)] == ["Privileged pod made"]
