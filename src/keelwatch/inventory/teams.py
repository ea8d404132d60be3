"""Which team a pod belongs to: a label, an annotation, or a map of namespaces, by the operator's choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from keelwatch.inventory.objects import KubeObject

DEFAULT_LABEL = "team"
MAX_MAP = 4 << 20


class Team(NamedTuple):
    """`source` says where it was read: for example "pod label" or "namespace map"."""

    name: str
    source: str


NOBODY = Team("", "")


class TeamMapError(ValueError):
    """A file of namespaces and teams that cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class TeamRules:
    """`label` and `annotation` are keys ("" for none); `namespaces` maps a namespace to its team."""

    label: str = DEFAULT_LABEL
    annotation: str = ""
    namespaces: Mapping[str, str] = field(default_factory=dict)

    def team_of(self, pod: KubeObject, workload: KubeObject | None, namespace: KubeObject | None) -> Team:
        """The nearest word counts: the pod's own, its workload's, the map's, then the namespace's."""
        near = (("pod", pod), ("workload", workload))
        found = self._marked(near)
        if not found.name and (mapped := self.namespaces.get(pod.namespace)):
            found = Team(mapped, "namespace map")
        return found if found.name else self._marked((("namespace", namespace),))

    def _marked(self, objects: Iterable[tuple[str, KubeObject | None]]) -> Team:
        for place, one in objects:
            if one is None:
                continue
            if self.label and (name := one.label(self.label)):
                return Team(name, f"{place} label")
            if one.team_mark:
                return Team(one.team_mark, f"{place} annotation")
        return NOBODY


def read_team_map(path: Path) -> dict[str, str]:
    """The YAML mapping of namespaces to teams in a file; raise TeamMapError."""
    try:
        if path.stat().st_size > MAX_MAP:
            raise TeamMapError(f"{path}: longer than {MAX_MAP} bytes")
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TeamMapError(f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TeamMapError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise TeamMapError(f"{path}: write one `namespace: team` a line")
    wrong = [key for key, team in found.items() if not isinstance(key, str) or not isinstance(team, str)]
    if wrong:
        raise TeamMapError(f"{path}: {wrong[0]!r}: a namespace and its team are texts")
    return found
