"""The store as the pages read it: the query layer, in this process."""

from __future__ import annotations

from fastapi import Request

from keelwatch.console.view_reader import Reader


def reader_of(request: Request) -> Reader:
    raise NotImplementedError
