"""What the API server says of this node's pods, as the hub passes it on: it completes identities.

Kept on disk, so that a restart while the hub is away loses nothing that was known. Where the hub has
no API server nothing is expected, nothing waits, and identities stay as the runtimes tell them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from keelwatch.kit.lru import LRU
from keelwatch.model.identity import Identity

log = logging.getLogger(__name__)

MAX_PODS = 5_000
MAX_GONE = 2_000
"""Pods that are gone, still known for late records of theirs."""
MAX_TEXT = 1_024
MAX_FILE = 64 << 20
CONFIRMS = ("namespace", "pod", "workload_kind", "workload", "revision", "team")
MARK = "workload=kubernetes"
"""What stands in `identity_source` when the API server named the workload."""

State = Literal["unknown", "none", "live", "away"]
"""Whether the hub has an inventory: not asked yet, no, yes, yes but not to be reached now."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod. `containers` maps a name to (image, digest); `static`: its uid on the node is another."""

    uid: str
    namespace: str
    pod: str
    workload_kind: str
    workload: str
    revision: str
    team: str
    static: bool = False
    containers: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class PodCache:
    """Thread-safe. `state` says what may be expected of it."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._pods: dict[str, PodFacts] = {}
        self._static: dict[tuple[str, str], str] = {}
        self._gone = LRU[str, PodFacts](MAX_GONE)
        self._asked = LRU[str, float](MAX_PODS)  # when a pod was first asked for in vain
        self.state: State = "unknown"
        self._load()

    def complete(self, identity: Identity) -> Identity:
        """The identity with what the API server says of its pod, or as it is."""
        facts = self._find(identity)
        if facts is None:
            return identity
        values = {name: value for name in CONFIRMS if (value := getattr(facts, name))}
        values["team"], values["revision"] = facts.team, facts.revision or identity.revision
        image, digest = facts.containers.get(identity.container, ("", ""))
        values |= {
            name: value
            for name, value in (("image", image), ("image_digest", digest))
            if value and not getattr(identity, name)
        }
        sources = dict(pair.split("=", 1) for pair in identity.identity_source.split() if "=" in pair)
        sources |= {name: "kubernetes" for name, value in values.items() if value}
        source = " ".join(f"{name}={value}" for name, value in sources.items())
        return replace(identity, identity_source=source, **values)

    def waits(self, identity: Identity, bound: float) -> float:
        """Seconds left of `bound`, counted from when its pod was first asked for; 0: do not wait."""
        uid = identity.pod_uid
        if self.state == "none" or not uid or self._find(identity) is not None:
            return 0.0
        with self._lock:
            asked = self._asked.get(uid)
            if asked is None:
                asked = self._asked[uid] = time.monotonic()
        return max(0.0, asked + bound - time.monotonic())

    def known(self, pod_uid: str) -> bool:
        """Whether the API server has told of this pod."""
        return pod_uid in self._pods or pod_uid in self._gone

    def concerns(self, identity: Identity, pod_uids: set[str]) -> bool:
        """Whether news of these pods are news of this container's."""
        if identity.pod_uid in pod_uids:
            return True
        return bool(identity.pod) and self._static.get((identity.namespace, identity.pod)) in pod_uids

    def take(self, answer: Mapping[str, Any]) -> set[str]:
        """Take an answer of the hub; return the uids of pods that came, changed or went."""
        told = [facts for raw in _list(answer.get("pods"))[:MAX_PODS] if (facts := _facts(raw))]
        gone = {uid for uid in _list(answer.get("gone")) if isinstance(uid, str)}
        with self._lock:
            if answer.get("full"):
                gone |= self._pods.keys() - {facts.uid for facts in told}
            changed = {facts.uid for facts in told if self._pods.get(facts.uid) != facts}
            for uid in gone & self._pods.keys():
                self._gone[uid] = self._pods.pop(uid)
            for facts in told:
                self._pods[facts.uid] = facts
            self._static = {(at.namespace, at.pod): uid for uid, at in self._pods.items() if at.static}
            self.state = "live"
        if changed or gone:
            self._save()
        return changed

    def absent(self) -> None:
        """The hub has no API server to ask."""
        self.state = "none"
        with self._lock:
            self._pods.clear()
            self._static.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def away(self) -> None:
        """The hub, or its API server, cannot be reached now; what is known stays known."""
        if self.state == "live":
            self.state = "away"

    def _find(self, identity: Identity) -> PodFacts | None:
        uid = identity.pod_uid
        facts = self._pods.get(uid) or self._gone.get(uid)
        if facts is None and identity.pod:  # of a static pod the API server has a mirror, by its name
            facts = self._pods.get(self._static.get((identity.namespace, identity.pod), ""))
        return facts

    def _save(self) -> None:
        if self._path is None:
            return
        with self._lock:
            body = orjson.dumps([asdict(facts) for facts in self._pods.values()])
        beside = self._path.with_suffix(".new")
        try:
            beside.write_bytes(body)
            beside.replace(self._path)
        except OSError as error:
            log.warning("what is known of pods cannot be kept in %s: %s", self._path, error)

    def _load(self) -> None:
        if self._path is None or not self._path.is_file() or self._path.stat().st_size > MAX_FILE:
            return
        try:
            found = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            log.warning("%s is of no use: %s", self._path, error)
            return
        self._pods = {facts.uid: facts for raw in _list(found) if (facts := _kept(raw))}
        self._static = {(at.namespace, at.pod): uid for uid, at in self._pods.items() if at.static}
        self.state = "away"


def _facts(raw: object) -> PodFacts | None:
    """A pod as the hub tells it; None for what is none."""
    if not isinstance(raw, dict) or not _text(raw, "uid"):
        return None
    return PodFacts(
        uid=_text(raw, "uid"),
        namespace=_text(raw, "namespace"),
        pod=_text(raw, "name"),
        workload_kind=_text(raw, "workload_kind"),
        workload=_text(raw, "workload"),
        revision=_text(raw, "revision"),
        team=_text(raw, "team"),
        static=raw.get("static") is True,
        containers=_containers(raw.get("containers")),
    )


def _containers(raw: object) -> dict[str, tuple[str, str]]:
    found = raw.items() if isinstance(raw, dict) else ()
    return {
        name: (_text(one, "image"), _text(one, "image_digest"))
        for name, one in found
        if isinstance(name, str) and isinstance(one, dict)
    }


def _kept(raw: object) -> PodFacts | None:
    """A pod from our own file."""
    if not isinstance(raw, dict):
        return None
    try:
        held = {name: tuple(pair) for name, pair in raw.pop("containers", {}).items()}
        return PodFacts(**raw, containers=held)
    except (TypeError, ValueError, AttributeError):
        return None


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
