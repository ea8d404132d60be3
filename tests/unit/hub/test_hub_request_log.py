"""The audit trail: nobody can flood it with refused requests, or with long ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from keelwatch.hub.request_log import (
    LONGEST_PATH,
    LONGEST_QUERY,
    NOBODY_A_MINUTE,
    AccessLog,
    Allowance,
)
from keelwatch.ingest.auth import Principal


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200 if "state" in scope else 401})


async def ask(log: AccessLog, path: str = "/api/v1/logs", query: bytes = b"", **scope: Any) -> None:
    async def send(_: Any) -> None:
        pass

    asked = {"type": "http", "method": "GET", "path": path, "query_string": query, "client": None}
    await log(asked | scope, None, send)  # type: ignore[arg-type]


def entries(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(text) for text in path.read_text().splitlines()]


def test_fields_are_cut(tmp_path: Path) -> None:
    log = AccessLog(refusing, tmp_path / "access.log")
    asyncio.run(ask(log, "/" + "p" * 60_000, b"q" * 60_000))
    (entry,) = entries(tmp_path / "access.log")
    assert (len(entry["path"]), len(entry["query"])) == (LONGEST_PATH, LONGEST_QUERY)


def test_refused_requests_are_few_lines_and_people_always_have_theirs(tmp_path: Path) -> None:
    log = AccessLog(refusing, tmp_path / "access.log")
    known = {"principal": Principal("auditor", "viewer")}

    async def flood() -> None:
        for _ in range(NOBODY_A_MINUTE * 3):
            await ask(log)
        for _ in range(NOBODY_A_MINUTE * 2):
            await ask(log, state=known)

    asyncio.run(flood())
    who = [entry["who"] for entry in entries(tmp_path / "access.log")]
    assert who == [""] * NOBODY_A_MINUTE + ["auditor"] * (NOBODY_A_MINUTE * 2)


def test_what_was_left_out_is_said_when_the_minute_is_over(tmp_path: Path) -> None:
    now = 0.0
    log = AccessLog(refusing, tmp_path / "access.log")
    log._nobody = Allowance(2, lambda: now)

    async def flood() -> None:
        nonlocal now
        for _ in range(5):
            await ask(log)
        now = 61.0
        await ask(log)

    asyncio.run(flood())
    assert [entry.get("left_out") for entry in entries(tmp_path / "access.log")] == [None, None, 3, None]
