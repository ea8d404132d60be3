"""What the console ships: libraries as their README says, nothing from elsewhere, nothing inline."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from fastapi import HTTPException, Request

from keelwatch.console.pages import assets

CONSOLE = Path(assets.__file__).parents[1]
VENDOR = CONSOLE / "static" / "vendor"
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))


def test_vendored_libraries_are_those_of_the_table() -> None:
    row = r"^\| (\S+\.(?:js|css)) \| (\S+) \| (\S+) \| .*?\((LICENSE\.\w+)\) \| ([0-9a-f]{64}) \|$"
    rows = re.findall(row, (VENDOR / "README.md").read_text(), re.MULTILINE)
    assert {row[0] for row in rows} == {
        path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")
    }
    for name, _, version, licence, checksum in rows:
        assert version in name
        assert (VENDOR / licence).is_file()
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == checksum, name


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_inline_and_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text)
    assert not re.search(r"\|\s*safe\b", text)
    assert "autoescape" not in text
    for asset in re.findall(r'"/static/([^"?]+)', text):
        assert (CONSOLE / "static" / asset).is_file(), asset


def _asked(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw})


@pytest.mark.parametrize("path", ["../view_format.py", "/etc/passwd", "vendor/README.md", "", "vendor", "x"])
def test_only_assets_are_served(path: str) -> None:
    with pytest.raises(HTTPException):
        assets.asset(path, _asked())


def test_an_asset_the_browser_has_is_not_sent_again() -> None:
    first = assets.asset("console.css", _asked())
    assert first.media_type == "text/css"
    again = assets.asset("console.css", _asked(if_none_match=first.headers["etag"]))
    assert (again.status_code, again.body) == (304, b"")
