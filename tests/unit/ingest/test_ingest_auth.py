from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest

from keelwatch.ingest.auth import MAX_TOKEN, Principal, Tokens, bearer, new_token, token_from_file


def test_tokens_are_kept_as_hashes_only_their_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = new_token()
    Tokens(path).add("agent", "agent", token)
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Tokens(path).verify(token) == Principal("agent", "agent")


def test_a_new_token_replaces_the_old_one_of_that_name(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    old, new = new_token(), new_token()
    tokens.add("admin", "admin", old)
    tokens.add("admin", "admin", new)
    assert tokens.verify(old) is None
    assert tokens.verify(new) == Principal("admin", "admin")
    assert len(orjson.loads((tmp_path / "tokens.json").read_bytes())) == 1


@pytest.mark.parametrize("token", ["", "x", "x" * (MAX_TOKEN + 1), "kw-\udcff"])
def test_other_tokens_are_nobody(tmp_path: Path, token: str) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    tokens.add("admin", "admin", new_token())
    assert tokens.verify(token) is None


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="16 to 512"):
        Tokens(tmp_path / "tokens.json").add("admin", "admin", "secret")


def test_a_token_file_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "agent.token"
    token = token_from_file(path)
    assert token_from_file(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert new_token() != token


@pytest.mark.parametrize(
    ("header", "wanted"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("Bearer", None), (None, None)],
)
def test_bearer(header: str | None, wanted: str | None) -> None:
    assert bearer(header) == wanted
