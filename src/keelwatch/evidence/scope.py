"""Pure: which containers the reviewer asks about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keelwatch.evidence.facts import Container, NodeKey
from keelwatch.query.selector import Requirement, parse_selector

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """Namespaces by their labels. Without a selector everything is in scope."""

    selector: str = ""
    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def of(cls, selector: str) -> Scope:
        """Read a label selector; raise QuestionError for one that is none."""
        return cls(selector, tuple(parse_selector(selector))) if selector else cls()

    def has(self, one: Container, labels: Mapping[NodeKey, Labels]) -> bool:
        """Whether a container is in scope. Where labels are not known, nothing may be left out."""
        known = labels.get((one.cluster, one.namespace))
        return known is None or meets(known, self.requirements)


def meets(labels: Labels, requirements: Sequence[Requirement]) -> bool:
    """Whether labels meet all requirements, as Kubernetes reads them."""
    return all(_meets(labels, one) for one in requirements)


def _meets(labels: Labels, one: Requirement) -> bool:
    value = labels.get(one.key)
    if one.operator == "exists":
        return value is not None
    if one.operator == "!exists":
        return value is None
    return (value in one.values) == (one.operator == "in")
