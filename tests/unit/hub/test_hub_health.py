"""What anybody may ask costs the store one question, however many ask."""

from __future__ import annotations

import asyncio
import time

import pytest

from keelwatch.hub.health import Seldom


def test_many_at_once_are_one_call_and_a_short_memory() -> None:
    calls: list[float] = []

    def slow() -> None:
        time.sleep(0.05)
        calls.append(time.monotonic())

    async def flood() -> None:
        seldom = Seldom(0.2, slow)
        await asyncio.gather(*(seldom() for _ in range(200)))
        assert len(calls) == 1
        await asyncio.sleep(0.25)
        await seldom()
        assert len(calls) == 2

    asyncio.run(flood())


def test_a_failure_is_not_remembered() -> None:
    failures = [ValueError("no store"), None]

    def action() -> None:
        if failure := failures.pop(0):
            raise failure

    async def ask() -> None:
        seldom = Seldom(60.0, action)
        with pytest.raises(ValueError, match="no store"):
            await seldom()
        await seldom()
        await seldom()

    asyncio.run(ask())
    assert failures == []
