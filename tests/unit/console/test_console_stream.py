"""A client that does not read lets go of the store in the end, and sees that its answer broke off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from keelwatch.console.api import stream
from keelwatch.console.api.stream import RecordStream, joined

SCOPE = {"type": "http", "client": ("192.0.2.7", 1), "asgi": {"spec_version": "2.3"}}


class Blocks:
    """Blocks of an answer; `closed` when the connection of the store is free again."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"{}\n"

    def close(self) -> None:
        self.closed = True


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def answer(blocks: Blocks, sends: float, disconnect: float = 60.0) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(sends)
        sent.append(message)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(disconnect)
        return {"type": "http.disconnect"}

    asyncio.run(asyncio.wait_for(RecordStream(joined(blocks, nothing()))(SCOPE, receive, send), 10))
    return sent


def test_an_answer_that_is_read_is_whole() -> None:
    blocks = Blocks(3)
    sent = answer(blocks, 0.0)
    assert b"".join(message.get("body", b"") for message in sent) == b"{}\n" * 3
    assert sent[-1]["more_body"] is False
    assert blocks.closed


def test_a_client_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.05)
    blocks = Blocks(3)
    sent = answer(blocks, 60.0)
    assert not any(message.get("more_body") is False for message in sent)
    assert blocks.closed


def test_a_client_that_reads_a_little_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HOLD_SECONDS", 0.2)
    blocks = Blocks(1000)
    sent = answer(blocks, 0.05)
    assert 1 < len(sent) < 20
    assert sent[-1]["more_body"] is True
    assert blocks.closed


def test_a_client_that_goes_away_is_noticed() -> None:
    blocks = Blocks(1000)
    answer(blocks, 0.05, disconnect=0.2)
    assert blocks.closed
