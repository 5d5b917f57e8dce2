"""The image in the reader: what gestures, planes, sides and the focus do."""

import re

import pytest
from playwright.sync_api import expect

from tests.webui.browser import WORKSTATION, chromium, keep_picture, page_of
from tests.webui.reading import first_finding, index_of, open_study, picture_of, say_who

pytestmark = pytest.mark.xdist_group("browser")


def test_what_is_done_before_the_frame_is_there_is_not_lost(browser, address):
    with page_of(browser, address, **WORKSTATION) as page:
        page.route("**/frames/*", lambda _: None)
        page.goto("/")
        page.get_by_role("link", name="Red, Triangle").click()
        expect(page.locator(".bottom-left")).to_have_text("W 1500 C -600")
        at = index_of(page)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("3")
        expect(page.locator(".bottom-left")).to_have_text("W 1500 C 300")
        stand_in = page.locator(".placeholder")
        expect(stand_in).to_have_attribute("src", re.compile("window=300.0%2C1500.0%2Clinear"))
        page.unroute("**/frames/*")  # what is held goes on
        expect(page.locator(".pane[data-shown]")).to_be_visible()
        expect(stand_in).to_have_count(0)
        assert index_of(page) == at + 1
        expect(page.locator(".bottom-left")).to_have_text("W 1500 C 300")


def test_the_sides_of_the_patient_stand_at_the_edges(browser, address):
    with page_of(browser, address, **WORKSTATION) as page:
        open_study(page)
        assert sides(page) == ["R", "L", "A", "P"]


def sides(within) -> list[str]:
    return [within.locator(f".side-{edge}").inner_text() for edge in ("left", "right", "top", "bottom")]


def test_three_planes_meet_in_a_finding_with_the_window_of_the_image(browser, address):
    with page_of(browser, address, **WORKSTATION) as page:
        open_study(page)
        page.get_by_role("button", name="MPR").click()
        expect(page.locator(".reference")).to_have_count(3)
        expect(page.locator(".mpr .mark-shape.selected")).to_have_count(3)
        coronal = page.get_by_label("Coronal plane")
        assert sides(coronal) == ["R", "L", "H", "F"]
        keep_picture(page, "reader-planes")
        page.keyboard.press("3")
        expect(page.get_by_label("Axial plane").get_by_text("W 1500 C 300")).to_be_visible()
        page.get_by_role("button", name="MPR").click()
        expect(page.locator(".mark-shape.selected")).to_be_visible()
        expect(page.locator(".bottom-left")).to_have_text("W 1500 C 300")


def test_the_focus_stays_where_the_reader_is(browser, address, as_before):
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/")
        expect(page.locator("tr.study")).to_have_count(1)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        open_study(page)
        keys = page.get_by_role("button", name="Keys")
        keys.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(keys).to_be_focused()
        card = first_finding(page)
        label = card.locator(".finding-open").inner_text()
        card.get_by_role("button", name="Accept").click()
        say_who(page)
        expect(first_finding(page, "accept")).to_be_visible()
        expect(page.locator(".finding-open:focus")).to_have_text(label, use_inner_text=True)


def test_without_webgl_images_and_masks_are_there_all_the_same(playwright, address):
    with (
        chromium(playwright, "--disable-3d-apis") as browser,
        page_of(browser, address, **WORKSTATION) as page,
    ):
        open_study(page)
        expect(page.locator("canvas.masks")).to_be_visible()
        assert picture_of(page).std() > 20
        page.keyboard.press("ArrowDown")
