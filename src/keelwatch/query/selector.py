"""Label selectors in Kubernetes' language: `app=checkout,tier!=cache,env in (dev,test),!legacy`.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from keelwatch.query.errors import QuestionError

Operator: TypeAlias = Literal["in", "notin", "exists", "!exists"]
MAX_REQUIREMENTS = 32

_KEY = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,316}"
_VALUE = r"[A-Za-z0-9_.-]{0,63}"
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_SEPARATOR = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. As in Kubernetes, `notin` holds where the label is absent."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


def parse_selector(text: str) -> list[Requirement]:
    """Return the requirements of a selector; all of them must hold."""
    found = [_requirement(part.strip()) for part in _SEPARATOR.split(text) if part.strip()]
    if len(found) > MAX_REQUIREMENTS:
        raise QuestionError("selector", f"more than {MAX_REQUIREMENTS} requirements")
    if not found:
        raise QuestionError("selector", "the selector is empty", "write for example app=checkout")
    return found


def _requirement(text: str) -> Requirement:
    if match := _EQUAL.fullmatch(text):
        return Requirement(match[1], "notin" if match[2] == "!=" else "in", (match[3],))
    if match := _SET.fullmatch(text):
        values = tuple(value.strip() for value in match[3].split(","))
        if all(re.fullmatch(_VALUE, value) for value in values):
            return Requirement(match[1], "in" if match[2] == "in" else "notin", values)
    if match := _EXISTS.fullmatch(text):
        return Requirement(match[2], "!exists" if match[1] else "exists")
    raise QuestionError(
        "selector", f"{text!r} is not a requirement", "write key=value, key!=value, key in (a,b), key or !key"
    )
