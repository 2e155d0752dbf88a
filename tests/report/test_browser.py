"""A report in a real browser: no errors, no requests, accessible."""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.program import done
from tests.report.staging import HOSTILE, hostile_run

pytest.importorskip("matplotlib", reason="the extra report is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
AXE = Path(os.environ.get("AXE_CORE", ""), "node_modules", "axe-core", "axe.min.js")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
THEMES = ("light", "dark")
WIDTHS = (360, 1000, 1600)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of a run whose columns, levels and classes have names like markup."""
    folder = tmp_path_factory.mktemp("page")
    run = hostile_run(folder)
    done("report", run, folder / "hostile.csv", "--compare", run, "--min", "accuracy=0.5", "-o", folder / "page.html")
    return (folder / "page.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page in a theme and a width; `heard` has console messages and requests."""
    contexts = []

    def open_page(theme="light", width=1000):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)  # milliseconds; the default is 30 s, too short on a busy machine
        page.heard, page.asked = [], []
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_section_is_visible_without_console_messages_or_requests(opened, address, theme, width):
    page = opened(theme, width)
    page.wait_for_load_state("networkidle")
    assert page.heard == []
    assert page.asked == [address]
    sections = page.locator("main > section, main > header")
    assert sections.count() >= 13
    for section in sections.all():
        assert section.is_visible()
        assert section.bounding_box()["width"] > min(width, 1000) * 0.8
    assert page.locator("figure svg").count() > 10
    # No part of the page is wider than the window: what is wide scrolls by itself.
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_themes_differ_in_background_and_text_colour_of_page_and_figures(opened):
    read = """() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
                     getComputedStyle(document.querySelector("figure svg text")).fill]"""
    light, dark = (opened(theme).evaluate(read) for theme in THEMES)
    assert all(one != other for one, other in zip(light, dark, strict=True))
    assert light[1] == light[2]
    assert dark[1] == dark[2]


def test_names_that_would_be_markup_are_text(opened):
    page = opened()
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert page.evaluate("document.querySelectorAll('img, b:not(.gates b), i').length") == 0
    text = page.evaluate("document.querySelector('main').textContent")
    for name in HOSTILE:
        assert name in text
    assert "target <i>" in page.title()


@pytest.mark.skipif(not AXE.is_file(), reason="AXE_CORE names no folder with axe-core")
@pytest.mark.parametrize(("theme", "width"), [("light", 1000), ("dark", 1600), ("light", 360)])
def test_axe_finds_no_accessibility_problem(opened, theme, width):
    page = opened(theme, width)
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


def test_the_page_can_be_used_by_the_keyboard(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the summary"
    page.keyboard.press("Enter")
    page.wait_for_url("**#verdict")
    # A heading sorts its table: numbers from the largest on, then from the least; every row stays.
    heading = page.locator("#confusion table.sortable thead button", has_text="rows").last
    table = heading.locator("xpath=ancestor::table")
    values = "table => [...table.tBodies[0].rows].map(row => Number(row.querySelector('[data-value]').dataset.value))"
    before = table.evaluate(values)
    for sign in (-1, 1):
        heading.focus()
        page.keyboard.press("Enter")
        assert table.evaluate(values) == sorted(before, key=lambda value: sign * value)
    assert table.locator("th[aria-sort=ascending]").count() == 1
    # What scrolls, and what is folded, is reached too.
    assert page.locator(".scroll:not([tabindex='0'])").count() == 0
    details = page.locator("details.verbatim")
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert details.evaluate("one => one.open")


def test_it_prints_on_a4_without_interactive_elements(opened):
    page = opened("dark")
    data = page.pdf(prefer_css_page_size=True)
    assert data.startswith(b"%PDF")
    boxes = {
        tuple(round(float(one)) for one in found.split()) for found in re.findall(rb"/MediaBox \[([^\]]+)\]", data)
    }
    assert {box[2:] for box in boxes} <= {(595, 842), (594, 842), (595, 841), (596, 842)}
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(one => one.scrollHeight <= one.clientHeight + 1)"
    )
