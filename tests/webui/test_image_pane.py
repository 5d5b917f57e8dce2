"""The image in the reader: what gestures, planes, sides and the focus do."""

import base64
import io
import re
from functools import partial

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from isocenter.http import create_app
from storage.instances import Origin
from tests.inference.analyses import STUDY, ct_header, ct_series, part10
from tests.storage.builders import STUDY as IMAGE_STUDY
from tests.storage.builders import spooled
from tests.support.system import wait_until
from tests.support.web import serving
from tests.webui.browser import WORKSTATION, chromium, keep_picture, page_of
from tests.webui.reading import first_finding, index_of, open_study, picture_of, say_who
from tests.webui.test_reviews_api import REPORT, fill, nodule

pytestmark = pytest.mark.xdist_group("browser")


def test_what_is_done_before_the_frame_is_there_is_not_lost(browser, address):
    with page_of(browser, address, **WORKSTATION) as page:
        page.route("**/frames/*", lambda _: None)
        page.goto("/")
        page.get_by_role("link", name="Red, Triangle", exact=True).click()
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
        page.keyboard.press("3")
        expect(page.get_by_label("Axial plane").get_by_text("W 1500 C 300")).to_be_visible()
        page.get_by_role("button", name="MPR").click()
        expect(page.locator(".mark-shape.selected")).to_be_visible()
        expect(page.locator(".bottom-left")).to_have_text("W 1500 C 300")


def mask_of(plane) -> np.ndarray:
    """The masks over a plane: red, green, blue and alpha."""
    url = plane.locator("canvas.masks").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def middle(mask: np.ndarray, colour: str) -> float:
    """The column in the middle of what has a colour."""
    wanted = [int(colour[at : at + 2], 16) for at in (0, 2, 4)]
    return float(np.median(np.nonzero((mask[..., :3] == wanted).all(axis=2) & (mask[..., 3] > 0))[1]))


def test_masks_are_cut_by_every_plane(browser, address):
    with page_of(browser, address, **WORKSTATION) as page:
        open_study(page)
        page.get_by_role("button", name="MPR").click()
        planes = [page.get_by_label(f"{name} plane") for name in ("Axial", "Sagittal", "Coronal")]
        for plane in planes:
            expect(plane.locator("canvas.masks[data-drawn]")).to_be_visible()
        masks = [mask_of(plane) for plane in planes]
        assert middle(masks[2], "e69f00") < middle(masks[2], "56b4e9"), "the right lung is on the left"
        page.keyboard.press("m")
        expect(page.locator("canvas.masks:visible")).to_have_count(0)
        for plane, mask in zip(planes, masks, strict=True):
            inside = mask[..., 3] > 0
            assert inside.mean() > 0.02
            # The volume comes slice by slice.
            wait_until(partial(darkness, plane, inside), lambda share: share > 0.9, 30)
        page.keyboard.press("m")
        expect(page.locator("canvas.masks:visible")).to_have_count(3)
        keep_picture(page, "reader-planes")


def darkness(plane, inside: np.ndarray) -> float:
    """The share of a region of a plane that is dark, as lungs are."""
    taken = plane.locator(".canvas").screenshot()
    grey = np.asarray(Image.open(io.BytesIO(taken)).convert("L"))
    rows, columns = np.minimum(grey.shape, inside.shape)  # an element may begin within a pixel
    return float((grey[:rows, :columns][inside[:rows, :columns]] < 160).mean())


@pytest.fixture
def two_planes(services):
    """A study with an axial, a thicker axial and a sagittal series of one frame of reference; its address."""
    axial = ct_series(8) + ct_series(4, spacing=5, SeriesInstanceUID="2.25.103", SeriesDescription="Thick")
    changes = {
        "SeriesInstanceUID": "2.25.102",
        "SeriesDescription": "Sagittal",
        "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
    }
    sagittal = [
        ct_header(number, **changes, ImagePositionPatient=[4.0 * number - 10, -20, 21])
        for number in (1, 2, 3)
    ]
    with services.archive.delivery(Origin("import")) as delivery:
        for image in [*axial, *sagittal]:
            delivery.ingest(spooled(services.spool, part10(image)))
    with serving(create_app(services)) as address:
        yield f"{address}/studies/{STUDY}"


def test_what_is_beside_shows_the_same_place(browser, two_planes):
    with page_of(browser, two_planes, **WORKSTATION) as page:
        page.goto(two_planes)
        page.get_by_role("button", name="Compare").click()
        page.get_by_label("Series beside").select_option(label="CT Thick (4)")
        thin, thick = page.locator(".pane").nth(0), page.locator(".pane").nth(1)
        expect(thick).to_have_attribute("data-shown", "2.25.103.2")  # 10 mm; the other is at 12.5
        thin.press("ArrowDown")
        expect(thick).to_have_attribute("data-shown", "2.25.103.3")
        thick.get_by_label("Image").fill("1")
        expect(thick).to_have_attribute("data-shown", "2.25.103.2")
        thin.press("End")
        expect(thick).to_have_attribute("data-shown", "2.25.103.3")  # 5 mm below, as it was left


def line_in(pane) -> list[float]:
    """Left, top, right and bottom of the reference line in a pane."""
    line = pane.locator(".reference line")
    return [float(line.get_attribute(name)) for name in ("x1", "y1", "x2", "y2")]


def test_each_pane_shows_where_the_other_cuts_it(browser, two_planes):
    with page_of(browser, two_planes, **WORKSTATION) as page:
        page.goto(two_planes)
        page.get_by_role("button", name="Compare").click()
        page.get_by_label("Series beside").select_option(label="CT Sagittal (3)")
        page.get_by_role("button", name="Link").click()
        axial, sagittal = page.locator(".pane").nth(0), page.locator(".pane").nth(1)
        expect(page.locator(".reference line")).to_have_count(2)
        x1, y1, x2, y2 = line_in(axial)
        assert x1 == pytest.approx(x2), "upright"
        assert abs(y2 - y1) > 300

        heights = []
        for _ in range(3):
            left, top, right, bottom = line_in(sagittal)
            assert (top, abs(right - left) > 300) == (pytest.approx(bottom), True), "level"
            heights.append(top)
            at = index_of(page)
            axial.press("ArrowDown")
            expect(axial).to_have_attribute("data-index", str(at + 1))
            expect(sagittal.locator(".reference line")).not_to_have_attribute("y1", str(top))
        assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])
        assert heights[0] > heights[1], "images go up from the feet"


def test_names_of_findings_in_one_place_stand_below_each_other(browser, services):
    fill(services)
    services.findings.replace_report(REPORT, [nodule(), nodule(key="n2", tracking_uid="1.2.3.5")])
    with serving(create_app(services)) as address, page_of(browser, address, **WORKSTATION) as page:
        page.goto(f"/studies/{IMAGE_STUDY}")
        names = page.locator(".mark-shape text")
        expect(names).to_have_count(2)
        heights = [float(name.get_attribute("y")) for name in names.all()]
        assert abs(heights[0] - heights[1]) >= 16


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
        masks = page.get_by_text("Masks", exact=True)
        masks.click()
        expect(page.get_by_label("Opacity")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_label("Opacity")).to_be_hidden()
        expect(masks).to_be_focused()
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
