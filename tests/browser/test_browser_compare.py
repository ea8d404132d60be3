"""A workload's instances compared, and records of one team: in a real browser."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from browser_records import SECOND, instance, lifecycle
from browser_visits import Hub, Visit

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=window.pwned=1>"
PAGE = "/workloads/compare/Deployment/till"
SHOTS = os.environ.get("KEELWATCH_SCREENSHOTS", "")


@pytest.fixture(scope="module", autouse=True)
def tills(hub: Hub) -> None:
    """Four instances that log alike; one of them says something that the others do not."""
    now = time.time_ns()
    for number in range(4):
        one = replace(instance(f"till-{number}", "compare", "till"), team="tills")
        hub.sender.rows("lifecycle", [lifecycle(one, now - 60 * SECOND, "container_started")])
        lines = [(now - 50 * SECOND, "stdout", f"listening on port {8000 + number}")]
        if number == 2:
            lines.append((now - 40 * SECOND, "stderr", f"connect back to 192.0.2.7 {HOSTILE}"))
        hub.sender.lines(one, lines)


def test_what_one_instance_alone_says_comes_first(analyst: Visit) -> None:
    page = analyst.page
    page.goto(PAGE)
    panel = page.get_by_role("region", name="Compare instances")
    assert panel.locator("table").count() == 0
    panel.get_by_role("link", name="Log lines").click()
    page.wait_for_url("**compare=line**")
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / "compare.png"), full_page=True)
    first, second = panel.locator("tbody tr").all_inner_texts()
    assert "1 of 4" in first
    assert "till-2" in first
    assert "connect back to #.#.#.# <img src=x onerror=window.pwned=#>" in first
    assert "4 of 4" in second
    assert "listening on port #" in second
    panel.get_by_role("link", name="connect back").click()
    page.wait_for_url("**/logs?**")
    assert page.locator(".line .who").all_inner_texts() == ["till-2/app"]
    assert page.evaluate("window.pwned") is None
    assert page.locator("img").count() == 0
    assert not analyst.problems


def test_its_state_is_an_address(analyst: Visit) -> None:
    page = analyst.page
    page.goto(f"{PAGE}?compare=process")
    panel = page.get_by_role("region", name="Compare instances")
    assert "Nothing to compare" in panel.inner_text()
    page.get_by_role("navigation", name="Time range").get_by_role("link", name="7d").click()
    page.wait_for_url("**since=7d**")
    assert parse_qs(urlsplit(page.url).query)["compare"] == ["process"]
    page.goto(f"{PAGE}?compare=%3Cb%3E")
    assert "cannot be compared" in panel.get_by_role("alert").inner_text()


def test_one_teams_records(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/logs?since=1h")
    page.get_by_label("Team").fill("tills")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**team=tills**")
    assert {who[:5] for who in page.locator(".line .who").all_inner_texts()} == {"till-"}
    for path in ("/workloads", "/alerts", "/gaps", "/access"):
        page.goto(f"{path}?team=tills")
        assert page.get_by_label("Team").input_value() == "tills"
    page.goto("/workloads?team=tills")
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("link", name="team: tills").click()
    assert "team" not in parse_qs(urlsplit(page.url).query)
