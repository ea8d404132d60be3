"""The filters that a page's address has, and what is said of those that cannot be understood."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from fastapi import Request

from keelwatch.console.views.reader import FilterError
from keelwatch.query.errors import QuestionError
from keelwatch.store.database import QUERY_TOO_LARGE, QUERY_TOO_LONG, StoreError

Answer = TypeVar("Answer")
_LONGEST = 400
_CANNOT_COMPILE_REGEXP = 427


def filters_of(request: Request, names: Collection[str]) -> dict[str, str]:
    """The filters of these names; of the last day where none says since when."""
    asked = request.query_params
    filters = {name: asked[name][:_LONGEST] for name in names if asked.get(name)}
    return {"since": "24h"} | filters


def explained(answer: Callable[[], Answer]) -> Answer:
    """The answer; FilterError with the reason for a question that cannot be answered."""
    try:
        return answer()
    except QuestionError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise FilterError(f"{error.parameter}: {error}{hint}") from error
    except StoreError as error:
        if error.code == _CANNOT_COMPILE_REGEXP:
            raise FilterError("regex: not a regular expression that RE2 understands") from error
        if error.code in (QUERY_TOO_LARGE, QUERY_TOO_LONG):
            raise FilterError("this asks for too much at once: choose a shorter time range") from error
        raise
