"""The console in a real browser, on a real hub with a real store."""

# ruff: noqa: E501  # texts and addresses that are looked for read best on one line
from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import urllib3
from browser_records import PAYLOAD, SECOND, alert, attack, gap, instance, lifecycle
from browser_visits import Hub, Visit, log_in, visit

from keelwatch.model.identity import Identity

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
PAGES = ("/", "/alerts", "/logs", "/workloads", "/gaps", "/coverage")
CHECKOUT = "/workloads/shop/Deployment/checkout"


@pytest.fixture(scope="module", autouse=True)
def pods(hub: Hub) -> list[Identity]:
    """What all tests of this file look at."""
    return attack(hub.sender)


def filters(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


# ---- log in and out


def test_nothing_is_shown_without_a_log_in(guest: Visit) -> None:
    for path in (*PAGES, CHECKOUT, "/alerts/x", "/logs/rows"):
        guest.page.goto(path)
        assert urlsplit(guest.page.url).path == "/login", path
        assert "checkout-6c9f7d5b4" not in guest.page.content()


def test_a_wrong_token_says_so_and_a_right_one_leads_to_where_one_wanted_to_go(
    guest: Visit, hub: Hub
) -> None:
    page = guest.page
    page.goto("/alerts?priority=critical")
    page.get_by_label("Log-in token").fill("kw-not-the-token")
    page.get_by_role("button", name="Log in").click()
    assert "cannot log in" in page.get_by_role("alert").inner_text()
    page.get_by_label("Log-in token").fill(hub.token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/alerts?priority=critical")
    page.get_by_role("button", name="Log out").click()
    page.goto("/")
    assert urlsplit(page.url).path == "/login"


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_log_in_never_leads_elsewhere(guest: Visit, hub: Hub, elsewhere: str) -> None:
    guest.page.goto("/login?next=" + quote(elsewhere, safe=""))
    guest.page.get_by_label("Log-in token").fill(hub.token)
    guest.page.get_by_role("button", name="Log in").click()
    guest.page.wait_for_url(f"{hub.url}/")


def test_a_log_out_needs_the_sessions_own_form(analyst: Visit) -> None:
    answer = analyst.context.request.post("/logout", form={"csrf": "guess"}, max_redirects=0)
    assert answer.status == 403
    analyst.page.goto("/alerts")
    assert urlsplit(analyst.page.url).path == "/alerts"


def test_every_page_forbids_inline_scripts_frames_and_caches(analyst: Visit) -> None:
    for path in PAGES:
        headers = analyst.context.request.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


# ---- hostile records

HOSTILE = '<script>window.pwned=1</script><img src=x onerror="window.pwned=1">\'"><svg onload=window.pwned=1>{{7*7}}'


def test_nothing_in_a_record_runs_or_draws(analyst: Visit, hub: Hub) -> None:
    page, now = analyst.page, time.time_ns()
    evil = instance(f"p{HOSTILE}", f"n{HOSTILE}", f"w{HOSTILE}")
    row = alert(evil, now, 666, rule=f"r{HOSTILE}", output=f"o{HOSTILE}", tags=[f"t{HOSTILE}"], path=f"/{HOSTILE}",
                priority=f"critical {HOSTILE}", drift=HOSTILE, sha256=HOSTILE, type=HOSTILE, id="evil-1")  # fmt: skip
    for name in ("story", "process", "ancestors"):
        row[name] = (
            row[name]
            .replace("kdevtmpfsi", HOSTILE.replace('"', '\\"'))
            .replace("sh (pid", f"{HOSTILE.replace(chr(34), '')} (pid")
        )
    hub.sender.rows("lifecycle", [lifecycle(evil, now - SECOND, "container_started")])
    hub.sender.rows("alerts", [row])
    hub.sender.rows(
        "gaps", [gap(evil, now) | {"detail": HOSTILE, "what": HOSTILE, "unit": HOSTILE, "cause": HOSTILE}]
    )
    hub.sender.lines(evil, [(now, "stdout", f"{HOSTILE} \x1b[2J\u202egpj.exe")])
    mine = quote(f"w{HOSTILE}", safe="")
    pages = [*PAGES, "/alerts/evil-1", f"/logs?grep={quote(HOSTILE)}", f"/logs?since=1h&workload=Deployment/{mine}",
             f"/workloads/-/Deployment/{mine}", f"/alerts?rule={quote(HOSTILE)}",
             "/logs?live=true", "/login?next=" + quote(f"/logs?grep={quote(HOSTILE)}")]  # fmt: skip
    for path in pages:
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, (path, answer.status)
        page.wait_for_timeout(150)
        assert page.evaluate("window.pwned") is None, path
        assert page.locator("img").count() == 0, path
    page.goto("/alerts/evil-1")
    assert f"r{HOSTILE}" in page.locator("h1").inner_text()
    page.goto("/logs?grep=gpj.exe")
    line = page.locator(".line .message").first.inner_text()
    assert HOSTILE in line
    assert "\\x1b[2J\\u202egpj.exe" in line
    assert not analyst.problems
    assert not analyst.foreign


# ---- what the pages show


def test_the_overview_answers_both_questions(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/")
    assert int(page.get_by_label("Alerts", exact=True).locator(".value").inner_text()) >= 8
    assert page.get_by_label("Was anything unmonitored?").locator(".value").inner_text() == "Yes"
    page.get_by_label("Was anything unmonitored?").get_by_role("link").first.click()
    assert "the agent was not running" in page.locator("tbody").inner_text()


def test_an_alert_tells_its_whole_story(analyst: Visit, pods: list[Identity]) -> None:
    page = analyst.page
    page.goto("/alerts?rule=New+binary+executed+in+a+container")
    page.locator("tr", has_text=pods[1].pod).get_by_role("link", name="New binary executed").click()
    text = page.locator("main").inner_text()
    for wanted in (
        "cat (pid 4411",
        "chmod +x /tmp/kdevtmpfsi",
        PAYLOAD,
        "not in the image",
        "0755",
        "node-1",
        pods[1].image,
    ):
        assert wanted in text, wanted
    chain = page.locator("[aria-labelledby=ancestry] .node").all_inner_texts()
    assert [line.split()[0] for line in chain] == [
        "/sbin/init",
        "/usr/bin/containerd-shim-runc-v2",
        "/app/checkout",
        "sh",
        "/tmp/kdevtmpfsi",
    ]
    others = page.locator("[aria-labelledby=others] li")
    assert others.count() == 2
    assert "same alert" in others.filter(has_text=pods[0].pod).inner_text()
    assert "not this alert" in others.filter(has_text=pods[2].pod).inner_text()
    around = page.locator("[aria-labelledby=around]")
    assert around.locator(".line.marked").count() == 1
    assert {pods[0].pod, pods[1].pod, pods[2].pod} <= set(
        re.findall(r"checkout-6c9f7d5b4-\w{5}", around.inner_text())
    )


def test_a_deleted_pods_lines_stand_beside_the_living_ones(analyst: Visit, pods: list[Identity]) -> None:
    page = analyst.page
    page.goto(f"{CHECKOUT}?since=24h")
    rows = page.locator("[aria-labelledby=instances] tbody tr")
    assert rows.count() == 3
    assert "ended" in rows.filter(has_text=pods[1].pod).inner_text()
    page.goto("/logs?workload=deploy/checkout&namespace=shop&since=1h")
    shown = set(page.locator(".line .who").all_inner_texts())
    assert shown == {f"{pod.pod}/app" for pod in pods}
    colours = {
        page.locator(f".line .who:text-is('{one}')").first.evaluate("e => getComputedStyle(e).color")
        for one in shown
    }
    assert len(colours) > 1


def test_search_narrows_and_every_state_is_an_address(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/logs?since=1h")
    page.get_by_label("Message contains").fill("inventory timeout")
    page.get_by_label("Namespace").fill("shop")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/logs?*grep=*")
    assert filters(page) == {"since": "1h", "grep": "inventory timeout", "namespace": "shop"}
    assert all("inventory timeout" in text for text in page.locator(".line .message").all_inner_texts())
    assert page.locator(".line mark").first.inner_text() == "inventory timeout"
    page.get_by_role("link", name="grep: inventory timeout").click()
    assert "grep" not in filters(page)
    page.get_by_label("Stream").select_option("stderr")
    page.wait_for_url("**stream=stderr**")
    assert page.locator(".line:not(.stderr)").count() == 0


def test_dragging_over_the_histogram_zooms(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/logs?since=1h&namespace=shop")
    box = page.locator(".chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20, steps=5)
    page.mouse.up()
    page.wait_for_url("**until=**")
    assert set(filters(page)) == {"since", "until", "namespace"}
    assert page.locator(".line").count() > 10


@pytest.mark.parametrize(
    "query", ["since=yesterday", "regex=(", "selector=a+in+(", "workload=castle/x", "grep=" + "x" * 2000]
)
def test_a_filter_that_cannot_be_understood_is_explained(analyst: Visit, query: str) -> None:
    answer = analyst.page.goto(f"/logs?{query}")
    assert answer is not None
    assert answer.status in (200, 400)
    if answer.status == 400:
        assert len(analyst.page.get_by_role("alert").inner_text()) > 10


def test_what_is_not_there_is_said(analyst: Visit) -> None:
    for path in ("/alerts/no-such-alert", "/workloads/shop/Deployment/no-such-workload"):
        answer = analyst.page.goto(path)
        assert answer is not None
        assert answer.status == 404
        assert "No such" in analyst.page.locator("main").inner_text()
    analyst.page.goto("/logs?grep=no-such-text-anywhere")
    assert "No line matches" in analyst.page.locator("main").inner_text()


def test_an_address_that_is_none_is_answered_with_a_page(guest: Visit, hub: Hub) -> None:
    answer = guest.page.goto("/nosuch")
    assert answer is not None
    assert answer.status == 404
    assert "No such page" in guest.page.locator("main").inner_text()
    assert guest.page.get_by_role("button", name="Log out").count() == 0
    assert "error" in guest.page.request.get("/nosuch", headers={"accept": "application/json"}).json()
    assert "error" in guest.page.request.get("/api/v1/nosuch", headers={"accept": "text/html"}).json()


TOO_WIDE = """[...document.querySelectorAll("body *:not(.scroll *)")]
    .filter((one) => one.getBoundingClientRect().right > 401)
    .map((one) => `${one.tagName}.${one.className}`).slice(0, 8).join(" ")"""


def test_a_narrow_screen_shows_everything(browser: Browser, hub: Hub, tmp_path: Path) -> None:
    seen = visit(browser, hub, viewport={"width": 400, "height": 800})
    log_in(seen.page, hub)
    folder = Path(os.environ.get("KEELWATCH_SCREENSHOTS", str(tmp_path)))
    for path in (*PAGES, CHECKOUT, "/alerts/01JDCNX4T9Y4V0000000000001"):
        seen.page.goto(path)
        name = re.sub(r"\W+", "-", path).strip("-") or "overview"
        seen.page.screenshot(path=str(folder / f"{name}-narrow.png"), full_page=True)
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400, f"{path}: {wide} px wide, by {seen.page.evaluate(TOO_WIDE)}"
        for link in seen.page.locator("nav[aria-label=Pages] a").all():
            box = link.bounding_box()
            assert box is not None
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 400, path
    seen.context.close()


# ---- live tail


def test_new_lines_appear_by_themselves(analyst: Visit, hub: Hub, pods: list[Identity]) -> None:
    page = analyst.page
    page.goto("/logs?live=true&namespace=shop")
    for number in range(3):
        text = f"live line {number} of {time.time_ns()}"
        # Its own time lies in the past, as after an outage: what arrives counts, not what it says.
        hub.sender.lines(pods[0], [(time.time_ns() - 3 * 3600 * SECOND, "stdout", text)])
        page.get_by_text(text).wait_for(timeout=8000)
        assert page.get_by_text(text).count() == 1
    hub.sender.lines(
        instance("other-1", "elsewhere", "other"), [(time.time_ns(), "stdout", "of another namespace")]
    )
    page.wait_for_timeout(2500)
    assert page.get_by_text("of another namespace").count() == 0
    assert not analyst.problems


# ---- keyboard, themes, print, accessibility


def test_everything_is_reached_with_the_keyboard(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/alerts")
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.getAttribute('href')")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.getAttribute('href')") == first
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{first}")
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/logs")
    page.keyboard.press("/")
    page.keyboard.type("jk/?")
    assert page.get_by_label("Message contains").input_value() == "jk/?"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize("path", [*PAGES, CHECKOUT])
def test_fields_are_labelled_and_headings_are_in_order(analyst: Visit, path: str) -> None:
    page = analyst.page
    page.goto(path)
    assert page.locator("h1").count() == 1
    assert page.locator("html[lang]").count() == 1
    nameless = page.eval_on_selector_all(
        "input:not([type=hidden]), select, button",
        "all => all.filter(e => !(e.labels?.length || e.innerText.trim())).length",
    )
    assert nameless == 0
    assert page.locator("svg:not([aria-hidden]), .chart:not([aria-label])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_prints_without_its_controls(analyst: Visit) -> None:
    page = analyst.page
    page.goto("/alerts/01JDCNX4T9Y4V0000000000001")
    page.emulate_media(media="print")
    assert not page.locator("nav[aria-label=Pages]").is_visible()
    assert page.locator("h1").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_problem_in_either_theme(
    browser: Browser, hub: Hub, scheme: str, tmp_path: Path
) -> None:
    seen = visit(browser, hub, color_scheme=scheme)
    log_in(seen.page, hub)
    folder = Path(os.environ.get("KEELWATCH_SCREENSHOTS", str(tmp_path)))
    folder.mkdir(parents=True, exist_ok=True)
    grounds = set()
    for path in (*PAGES, CHECKOUT, "/alerts/01JDCNX4T9Y4V0000000000001", "/logs?live=true"):
        seen.page.goto(path)
        seen.page.wait_for_timeout(300)
        name = re.sub(r"\W+", "-", path).strip("-") or "overview"
        picture = seen.page.screenshot(path=str(folder / f"{name}-{scheme}.png"), full_page=True)
        assert len(picture) > 20_000
        grounds.add(seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        if path in ("/", "/alerts", "/logs"):
            assert seen.page.locator(".chart canvas").count() == 1
    assert len(grounds) == 1
    brightness = sum(map(int, re.findall(r"\d+", grounds.pop())[:3]))
    assert (brightness > 600) == (scheme == "light")
    assert not seen.problems
    assert not seen.foreign
    seen.context.close()


def test_a_form_of_any_size_from_a_stranger_is_bounded(hub: Hub) -> None:
    pool = urllib3.PoolManager(retries=False)
    answer = pool.request("POST", f"{hub.url}/login", body=b"token=" + b"x" * 100_000)
    assert answer.status == 413
    fields = b"&".join(b"a%d=1" % number for number in range(100))
    assert pool.request("POST", f"{hub.url}/login", body=fields).status == 400
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert pool.request("POST", f"{hub.url}/login", body=b"token=x", headers=cross).status == 403
