"""Samples: events in YAML that a rule must, or must not, fire on. They stand beside the rules.

    - rule: New program run in a container
      fires:
        - name: a program copied in
          event: {kind: exec, path: /tmp/x, drift: new, process: {comm: x, exe: /tmp/x}}
      silent:
        - name: the image's own content
          event: {kind: exec, path: /usr/bin/id, drift: image}

What an event leaves out is filled in: it happened in a container of shop/checkout, to a process that
a shell started. `container: false` is the node; `process`, `process.parent`, `target`, `identity`,
`file_identity` and `story` are mappings with the names of the model. `kind: audit` is a request to
the API server; its other keys are those of an audit event (audit.k8s.io/v1), and what it leaves out is
a request of the user alice that succeeded.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from keelwatch.detect.errors import Place, Problems, RuleError
from keelwatch.detect.fields import TYPES
from keelwatch.detect.load import MAX_FILE
from keelwatch.detect.rules import RuleSet
from keelwatch.model.audit import AUDIT_KIND, AuditEvent
from keelwatch.model.event import Event, Story
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process

DIRECTORY = "tests"
"""Where the samples of a rule file are: in this directory beside it, under the same name."""
NODE = Identity(cluster="sample", node="node-1")
CONTAINER = Identity(
    cluster="sample",
    node="node-1",
    namespace="shop",
    pod="checkout-5d8f7c9b6-x2x4k",
    pod_uid="0b6f2f4e-6b0c-4c8e-9f5e-0c4f4b9b6a10",
    container="app",
    container_id="5a" * 32,
    image="registry.example/shop/checkout:1.4",
    workload_kind="Deployment",
    workload="checkout",
    revision="5d8f7c9b6",
    team="payments",
)
OTHER = replace(CONTAINER, pod="ledger-0", container="ledger", container_id="7b" * 32, workload="ledger")
SHELL: dict[str, Any] = {"pid": 41, "comm": "sh", "exe": "/bin/sh", "argv": ["sh"]}
REQUEST: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "level": "RequestResponse",
    "auditID": "6f3c5d1e-0000-4000-8000-000000000001",
    "stage": "ResponseComplete",
    "requestURI": "/api/v1/namespaces/shop/pods",
    "verb": "create",
    "user": {"username": "alice", "groups": ["developers", "system:authenticated"]},
    "sourceIPs": ["192.0.2.7"],
    "userAgent": "kubectl/v1.34.4 (linux/amd64)",
    "responseStatus": {"code": 200},
    "annotations": {"authorization.k8s.io/decision": "allow"},
}
AUDIT_PARTS = frozenset((*REQUEST, "objectRef", "requestObject", "responseObject", "impersonatedUser"))
TIME = 1_767_225_600_000_000_000
MAX_PARENTS = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """One event and what should come of it."""

    rule: str
    name: str
    fires: bool
    event: Event | AuditEvent
    place: Place


class SampleError(ValueError):
    """A sample that is not understood."""


def sample_file(rules: Path) -> Path:
    """Where the samples of a rule file are looked for."""
    return rules.parent / DIRECTORY / rules.name


def load_samples(path: Path, problems: Problems) -> list[Sample]:
    """Read a file of samples; what is wrong with it is noted."""
    data = path.read_bytes()[: MAX_FILE + 1]
    if len(data) > MAX_FILE:
        problems.error(Place(str(path)), "file too large", f"the limit is {MAX_FILE} bytes")
        return []
    try:
        groups = yaml.safe_load(data)
    except yaml.YAMLError as error:
        problems.error(Place(str(path)), f"not YAML: {error}")
        return []
    samples: list[Sample] = []
    for number, group in enumerate(groups or [], 1):
        try:
            samples += _group(group, Place(str(path)))
        except (SampleError, TypeError, KeyError, AttributeError) as error:
            problems.error(Place(str(path)), f"sample group {number}: {error}")
    return samples


def check_samples(rules: RuleSet, samples: Iterable[Sample]) -> list[RuleError]:
    """The samples whose rule does not do what they say."""
    known = {rule.name for rule in rules.rules}
    found = []
    for sample in samples:
        fired = {rule.name for rule in rules.match(sample.event)}
        if sample.rule not in known:
            message = f"sample of a rule that does not exist: {sample.rule!r}"
        elif (sample.rule in fired) == sample.fires:
            continue
        else:
            message = (
                f"rule {sample.rule!r} {'does not fire' if sample.fires else 'fires'} on {sample.name!r}"
            )
        others = ", ".join(sorted(fired)) or "none"
        found.append(RuleError(sample.place.file, 1, 1, message, f"rules that fire: {others}"))
    return found


def _group(group: Mapping[str, Any], place: Place) -> list[Sample]:
    unknown = set(group) - {"rule", "fires", "silent"}
    if unknown:
        raise SampleError(f"unknown keys {sorted(unknown)}")
    return [
        Sample(group["rule"], one["name"], verb == "fires", _event(one["event"]), place)
        for verb in ("fires", "silent")
        for one in group.get(verb, [])
    ]


def _event(given: Mapping[str, Any]) -> Event | AuditEvent:
    return make_audit_event(given) if given.get("kind") == AUDIT_KIND else make_event(given)


def make_audit_event(given: Mapping[str, Any]) -> AuditEvent:
    """A request with the given parts; ValueError for parts that an audit event does not have."""
    raw = {name: value for name, value in given.items() if name != "kind"}
    unknown = set(raw) - AUDIT_PARTS
    if unknown:
        raise SampleError(f"an audit event has no {', '.join(sorted(unknown))}")
    target = raw.get("objectRef") or {}
    identity = Identity(cluster="sample", namespace=target.get("namespace", ""))
    return AuditEvent(TIME, {**REQUEST, **raw}, identity)


def make_event(given: Mapping[str, Any]) -> Event:
    """An event with the given parts; ValueError for parts that an event does not have."""
    parts = dict(given)
    kind = parts.pop("kind")
    if kind not in TYPES:
        raise SampleError(f"unknown kind {kind!r}; one of {', '.join(TYPES)}")
    identity = _identity(parts.pop("identity", {}), CONTAINER if parts.pop("container", True) else NODE)
    process = _process({"comm": "tool", "exe": parts.get("path", ""), **parts.pop("process", {})}, identity)
    if "file_identity" in parts:
        parts["file_identity"] = _identity(parts["file_identity"], OTHER)
    if "target" in parts:
        parts["target"] = _process({"pid": 7, **parts["target"]}, identity)
    if "story" in parts:
        parts["story"] = Story(**parts["story"])
    if kind == "exec" and "result" not in parts:
        parts.setdefault("mode", stat.S_IFREG | 0o755)
    _refuse_unknown(parts, Event)
    event = Event(
        time=parts.pop("time", TIME),
        kind=kind,
        type=parts.pop("type", TYPES[kind][0]),
        result=parts.pop("result", 0),
        process=process,
        identity=identity,
    )
    for name, value in parts.items():
        setattr(event, name, value)
    return event


def _identity(given: Mapping[str, Any], base: Identity) -> Identity:
    return replace(base, **given)


def _process(given: Mapping[str, Any], identity: Identity, depth: int = 0) -> Process:
    parts = dict(given)
    above = parts.pop("parent", SHELL if depth == 0 else None)
    if depth > MAX_PARENTS:
        raise SampleError("too many parents")
    parent = _process(above, identity, depth + 1) if above else None
    parts["argv"] = tuple(parts.get("argv", [parts.get("comm", "")]))
    parts = {"pid": 42 + depth, "start": 1, "container_id": identity.container_id, **parts}
    _refuse_unknown(parts, Process)
    return Process(parent=parent, ppid=parent.pid if parent else 0, **parts)


def _refuse_unknown(parts: Mapping[str, Any], model: type) -> None:
    """Names and plain types must be the model's; YAML reads 0o17 as text and 017 as a number."""
    types = {field.name: field.type for field in fields(model)}
    for name, value in parts.items():
        if types.get(name) == "int" and not isinstance(value, int):
            raise SampleError(f"{name} must be a number, not {value!r}")
    unknown = set(parts) - {field.name for field in fields(model)}
    if unknown:
        raise SampleError(f"a {model.__name__.lower()} has no {', '.join(sorted(unknown))}")
