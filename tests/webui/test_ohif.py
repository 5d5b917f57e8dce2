"""OHIF itself, in Chromium, over this server: images, our measurements, our segmentations. Long: soak."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from isocenter.viewer import VERSION, ViewerNotInstalled, install, package_of_registry
from tests.conftest import missing
from tests.webui.browser import WORKSTATION, keep_picture, page_of
from tests.webui.reading import study_of

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.soak]

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "isocenter-tests"
SLOW_MS = 120_000


@pytest.fixture(scope="module")
def viewer(analysed):
    """OHIF, fetched once from npm's registry and kept outside the tree."""
    kept = CACHE / f"ohif-app-{VERSION}.tgz"
    if not kept.is_file():
        try:
            with package_of_registry(VERSION) as package:
                CACHE.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(package.read_bytes())
        except ViewerNotInstalled as error:
            missing(f"OHIF ABSENT: {error}")
    install(kept, analysed.settings.viewer_dir)


@pytest.fixture
def ohif(browser, analysed, address, viewer):
    """The sample study in OHIF, opened from the worklist; it complains of nothing."""
    with page_of(browser, address, **WORKSTATION) as worklist:
        worklist.goto("/")
        with worklist.context.expect_page() as opened:
            worklist.get_by_role("link", name="Red, Triangle in OHIF").click()
        page = opened.value
        errors: list[str] = []
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        assert f"StudyInstanceUIDs={study_of(analysed)}" in page.url
        page.get_by_text("Skip all").click(timeout=SLOW_MS)
        yield page
        assert errors == []


def picture_of(page) -> np.ndarray:
    """The middle of the viewport, where no buttons lie over it: red, green and blue."""
    taken = page.locator(".cornerstone-canvas").first.screenshot()
    picture = np.asarray(Image.open(io.BytesIO(taken)).convert("RGB")).astype(int)
    rows, columns = picture.shape[:2]
    return picture[rows // 3 : -rows // 6, columns // 6 : -columns // 6]


def coloured(picture: np.ndarray) -> float:
    """The share of pixels that are not grey."""
    return float((np.ptp(picture, axis=2) > 40).mean())


def draw_a_line(page) -> None:
    box = page.locator(".cornerstone-canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    page.mouse.move(x + 40, y + 10, steps=8)
    page.mouse.up()


def read_in_our_reader(ohif, services) -> None:
    """What was saved there is here: each nodule judged, and the line as a finding of its own."""
    services.upkeep()
    reader = ohif.context.new_page()
    reader.goto(f"/studies/{study_of(services)}")
    nodules = reader.locator(".finding", has_text="Nodule")
    expect(nodules).to_have_count(6, timeout=SLOW_MS)
    for nodule in nodules.all():
        expect(nodule).to_have_attribute("data-verdict", "accept")
        expect(nodule).to_contain_text("by 127.0.0.1")
    length = reader.locator(".finding", has_text="Length")
    expect(length).to_contain_text("Added by 127.0.0.1")
    length.locator(".finding-open").click()
    expect(reader.locator(".mark-shape.selected polyline")).to_have_count(2)
    keep_picture(reader, "reader-after-ohif")
    reader.close()


def test_images_measurements_segments_and_what_is_saved_are_there(ohif, analysed):
    picture = picture_of(ohif)
    assert picture.std() > 20
    assert coloured(picture) < 0.001

    ohif.get_by_text("AI, not verified: Lung nodule").first.dblclick()
    expect(ohif.get_by_text("Diameter:").first).to_be_visible(timeout=SLOW_MS)
    keep_picture(ohif, "ohif-measurements")
    ohif.get_by_role("button", name="Yes", exact=True).click()
    ohif.locator("[data-cy='trackedMeasurements-btn']").click()
    expect(ohif.locator("[data-cy='data-row']").first).to_contain_text("Nodule 1", timeout=SLOW_MS)
    keep_picture(ohif, "ohif-tracked")

    ohif.locator("[data-cy='Length-btn']").click()
    draw_a_line(ohif)
    ohif.get_by_role("button", name="Create SR").click()
    with ohif.expect_response("**/dicom-web/studies") as stored:
        ohif.get_by_role("dialog").get_by_role("button", name="Save").click()
    assert stored.value.ok
    read_in_our_reader(ohif, analysed)

    ohif.get_by_text("AI, not verified: Lung volume").first.dblclick()
    expect(ohif.get_by_text("Do you want to open this Segmentation?")).to_be_visible(timeout=SLOW_MS)
    assert coloured(picture_of(ohif)) > 0.001
    keep_picture(ohif, "ohif-segments")
