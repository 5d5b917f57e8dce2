"""A Chromium that opens the pages, and notes what goes wrong in them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

from tests.conftest import ROOT, missing

SCREENSHOTS = ROOT / "screenshots"
AXE = ROOT / "webui" / "client" / "node_modules" / "axe-core" / "axe.min.js"
TIMEOUT_MS = 30_000
WORKSTATION = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@contextmanager
def chromium(playwright: Playwright, *switches: str) -> Iterator[Browser]:
    """Debian's own; none is downloaded."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        missing("CHROMIUM ABSENT: run `make test` as root, or install the package chromium")
    browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *switches])
    yield browser
    browser.close()


@contextmanager
def page_of(browser: Browser, address: str, *, expected: str = "", **options) -> Iterator[Page]:
    """A page in a fresh profile; it may have complained of nothing but what is `expected`."""
    context = browser.new_context(base_url=address, **options)
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: said.type in {"error", "warning"} and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [said for said in complaints if not expected or expected not in said] == []


def keep_picture(page: Page, name: str) -> Path:
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path


def barriers(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA, one line each."""
    if not AXE.is_file():
        missing("AXE ABSENT: run `npm ci` in webui/client")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", _WCAG)
    return [f"{each['id']}: {node['html'][:200]}" for each in found["violations"] for node in each["nodes"]]


_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
