"""Seconds from the click on a study in the worklist to its image, and to its whole stack, in Chromium.

Every round opens the study in a fresh profile: of our files only those of the worklist are in the cache.
"picture" is what the server drew, "image" the frame itself, whose window can be changed.
"""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peers
from bench_cstore import make_series
from playwright.sync_api import Browser, Page, sync_playwright

# Noted in the page, at the frame that shows it: no polling from outside.
_WATCH = """count => {
  const seen = window.seen = {};
  const since = () => (performance.now() - window.clicked) / 1000;
  document.addEventListener('click', () => (window.clicked ??= performance.now()), true);
  const look = () => {
    const pane = document.querySelector('.pane');
    const picture = document.querySelector('.placeholder');
    if (picture?.complete && picture.naturalWidth) seen.picture ??= since();
    if (pane?.dataset.shown) seen.image ??= since();
    if (Number(pane?.dataset.loaded) >= count) seen.stack ??= since();
    if (seen.stack === undefined) requestAnimationFrame(look);
  };
  look();
}"""


@contextmanager
def _page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def opened(browser: Browser, address: str, count: int) -> dict[str, float]:
    """Seconds after the click by what was seen."""
    with _page(browser, address) as page:
        page.goto("/")
        link = page.get_by_role("link", name="Bench, Mark")
        link.wait_for()
        page.evaluate(_WATCH, count)
        link.click()
        page.locator(f".pane[data-loaded='{count}']").wait_for(timeout=120_000)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        seen: dict[str, float] = page.evaluate("() => window.seen")
        # The frame may be there before the picture that stands in for it.
        return {"picture": min(seen.get("picture", seen["image"]), seen["image"])} | seen


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--instances", type=int, default=300)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--quick", action="store_true", help="tiny sizes: does it still run?")
    options = arguments.parse_args()
    instances, rounds = (5, 1) if options.quick else (options.instances, options.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, sync_playwright() as playwright:
        folder = Path(name)
        series = make_series(folder / "series", instances, 512, "reader")
        program = shutil.which("chromium") or "chromium"
        with peers.isocenter(folder / "isocenter") as receiver:
            peers.send(receiver, [series])
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            times = [opened(browser, receiver.http, instances) for _ in range(rounds)]
            browser.close()
    print(f"| {instances} CT images of 512², seconds after the click | median | best | worst |")
    print("|---|---|---|---|")
    for what in ("picture", "image", "stack"):
        seconds = sorted(each[what] for each in times)
        print(f"| {what} | {statistics.median(seconds):.2f} | {seconds[0]:.2f} | {seconds[-1]:.2f} |")


if __name__ == "__main__":
    main()
