"""A real hub in a process of its own, and a page of a real browser that notes what goes wrong in it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
from browser_records import Sender

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@dataclass
class Hub:
    """A running hub."""

    url: str
    token: str
    sender: Sender


def start_hub(data: Path) -> tuple[subprocess.Popen[bytes], Hub]:
    """Start a hub and wait until it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, "-m", "keelwatch.cli.main", "hub", "--listen", f"127.0.0.1:{port}",
               "--data", str(data), "--admin-token-file", str(data / "login.token")]  # fmt: skip
    running = subprocess.Popen(program, stderr=(data.parent / "hub.log").open("wb"))
    url = f"http://127.0.0.1:{port}"
    _wait(url, running, data.parent / "hub.log")
    agent = Sender(url, (data / "agent.token").read_text().strip())
    return running, Hub(url, (data / "login.token").read_text().strip(), agent)


def _wait(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    pool = urllib3.PoolManager(retries=False)
    for _ in range(300):
        assert running.poll() is None, log.read_text()
        try:
            if pool.request("GET", f"{url}/readyz").status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"the hub was not ready in time: {log.read_text()}")


@dataclass
class Visit:
    """A browser's page and everything that went wrong in it."""

    page: Page
    context: BrowserContext
    problems: list[str]
    foreign: list[str]


def visit(browser: Browser, hub: Hub, **options: Any) -> Visit:
    """A fresh browser context that notes errors, refused scripts, and requests to other hosts."""
    context = browser.new_context(
        base_url=hub.url, **({"viewport": {"width": 1360, "height": 900}} | options)
    )
    page = context.new_page()
    made = Visit(page, context, [], [])
    page.on("pageerror", lambda error: made.problems.append(f"page error: {error}"))
    page.on("dialog", lambda dialog: (made.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("console", lambda m: made.problems.append(m.text) if m.type in ("error", "warning") else None)
    page.on("request", lambda r: made.foreign.append(r.url) if not r.url.startswith(hub.url) else None)
    return made


def log_in(page: Page, hub: Hub) -> None:
    """Log in with the token, as a person does."""
    page.goto("/login")
    page.get_by_label("Log-in token").fill(hub.token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{hub.url}/")
