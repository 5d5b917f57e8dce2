"""What tests of the reader do again and again."""

import io

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import expect

from storage.search import Query


def study_of(services) -> str:
    return services.archive.search(Query("study", limit=1)).answers[0]["0020000D"]["Value"][0]


def findings_of(address, services) -> dict:
    return httpx.get(f"{address}/api/studies/{study_of(services)}/findings", timeout=30).json()


def open_study(page) -> None:
    page.goto("/")
    expect(page.get_by_text("Findings", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Red, Triangle", exact=True).click()
    expect(page.locator(".pane[data-shown]")).to_be_visible()
    expect(page.locator(".placeholder")).to_have_count(0)


def picture_of(page) -> np.ndarray:
    """What is on the screen where the image is, as grey values."""
    taken = page.locator(".pane .canvas").first.screenshot()
    return np.asarray(Image.open(io.BytesIO(taken)).convert("L"))


def index_of(page) -> int:
    return int(page.locator(".pane").first.get_attribute("data-index"))


def say_who(page) -> None:
    page.get_by_label("Family name").fill("Reader")
    page.get_by_label("Given name").fill("Ann")
    page.get_by_role("button", name="This is me").click()


def first_finding(page, verdict: str = "none"):
    return page.locator(f".finding[data-verdict={verdict}]").first
