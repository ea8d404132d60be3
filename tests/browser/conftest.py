"""A real hub, filled over the wire, and a real Chromium that looks at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser_visits import ARGUMENTS, CHROMIUM, Hub, Visit, log_in, start_hub, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub for all tests of this folder: each brings its own workloads."""
    running, made = start_hub(tmp_path_factory.mktemp("hub") / "data")
    yield made
    running.terminate()
    assert running.wait(30) == 0


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip(f"{CHROMIUM} is missing (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture
def guest(browser: Browser, hub: Hub) -> Iterator[Visit]:
    """Somebody who has not logged in."""
    made = visit(browser, hub)
    yield made
    made.context.close()


@pytest.fixture
def analyst(guest: Visit, hub: Hub) -> Visit:
    """Somebody who has."""
    log_in(guest.page, hub)
    return guest
