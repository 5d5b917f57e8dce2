"""A reader at a workstation, and one with a phone: from the worklist to the signed report."""

import io
import re
import subprocess
from dataclasses import replace

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from isocenter.http import create_app
from isocenter.services import open_services
from isocenter.settings import load_settings
from sample_studies.samples import ensure_sample
from storage.instances import Origin
from storage.search import Query
from tests.conftest import missing
from tests.isocenter.conftest import store_ct
from tests.storage.builders import spooled
from tests.support.programs import needs
from tests.support.web import serving
from tests.webui.browser import PHONE, WORKSTATION, barriers, chromium, keep_picture, page_of
from webui.client_files import INDEX

pytestmark = pytest.mark.xdist_group("browser")

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture(scope="module")
def playwright():
    if not INDEX.is_file():
        missing("THE PAGES ARE NOT BUILT: run `make client`")
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright):
    with chromium(playwright) as opened:
        yield opened


@pytest.fixture(scope="module")
def analysed(tmp_path_factory, samples):
    """The archive with the sample chest CT, and what the models found in it."""
    given = {"data": tmp_path_factory.mktemp("reader") / "data", "inference.settle_seconds": 0}
    with open_services(load_settings(None, {}, given)) as services:
        with services.archive.delivery(Origin("import")) as delivery:
            for path in ensure_sample("red-triangle", samples):
                delivery.ingest(spooled(services.spool, path.read_bytes()))
        services.triggers().poll()
        pipeline = services.pipeline()
        for uid in services.work.due():
            assert pipeline.run(uid).results
        yield services


@pytest.fixture(scope="module")
def address(analysed):
    with serving(create_app(analysed)) as address:
        yield address


@pytest.fixture
def as_before(analysed, address):
    """Takes back what a test said, so that the next reader finds the study as the models left it."""
    yield
    study = study_of(analysed)
    path = f"{address}/api/studies/{study}/findings"
    for finding in httpx.get(path, timeout=30).json()["findings"]:
        if finding["review"]:
            url = f"{path}/{finding['id']}/reviews/{finding['review']['id']}"
            assert httpx.request("DELETE", url, json={"reviewer": {"name": "Test"}}, timeout=30).is_success


def study_of(services) -> str:
    return services.archive.search(Query("study", limit=1)).answers[0]["0020000D"]["Value"][0]


def findings_of(address, services) -> dict:
    return httpx.get(f"{address}/api/studies/{study_of(services)}/findings", timeout=30).json()


def open_study(page) -> None:
    page.goto("/")
    expect(page.get_by_text("Findings", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Red, Triangle").click()
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


def signed_report(analysed, address, tmp_path):
    """The verified report as a file."""
    (verified,) = findings_of(address, analysed)["verified"][-1:]
    stored = analysed.archive.instance(verified["sr_uid"])
    path = tmp_path / "verified.dcm"
    path.write_bytes(b"".join(analysed.archive.stream(stored)))
    return path


@needs("dciodvfy")
def test_a_reader_judges_and_signs_at_a_workstation(browser, analysed, address, as_before, tmp_path):
    with page_of(browser, address, **WORKSTATION) as page:
        open_study(page)
        first = picture_of(page)
        assert first.std() > 20, "there is an image"

        at = index_of(page)
        page.locator(".pane").hover()
        page.mouse.wheel(0, 400)
        expect(page.locator(".pane")).to_have_attribute("data-index", str(at + 10))
        page.keyboard.press("ArrowUp")
        expect(page.locator(".pane")).to_have_attribute("data-index", str(at + 9))

        before = page.locator(".bottom-left").inner_text()
        box = page.locator(".pane").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 80, y + 40, steps=4)
        page.mouse.up()
        expect(page.locator(".bottom-left")).not_to_have_text(before)
        page.keyboard.press("3")
        expect(page.locator(".bottom-left")).to_have_text("W 1500 C 300")

        first_finding(page).locator(".finding-open").click()
        expect(page.locator(".mark-shape.selected")).to_be_visible()
        keep_picture(page, "reader-workstation")
        page.keyboard.press("a")
        say_who(page)
        expect(page.locator(".finding.selected")).to_have_attribute("data-verdict", "accept")

        page.keyboard.press("n")
        page.keyboard.press("e")
        page.mouse.move(x - 30, y - 20)
        page.mouse.down()
        page.mouse.move(x + 30, y + 20, steps=4)
        page.mouse.up()
        page.get_by_label("Diameter").fill("7.5")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".finding.selected")).to_have_attribute("data-verdict", "correct")

        page.get_by_role("button", name="Sign without those that wait").click()
        expect(page.get_by_text("Signed by Reader Ann")).to_be_visible()

    said = [each["review"] for each in findings_of(address, analysed)["findings"] if each["review"]]
    assert sorted(review["verdict"] for review in said) == ["accept", "correct"]
    (corrected,) = [review["corrected"] for review in said if review["corrected"]]
    assert corrected["measurements"][-1]["value"] == 7.5
    assert corrected["region"]["kind"] == "box"
    path = signed_report(analysed, address, tmp_path)
    ds = pydicom.dcmread(path)
    assert (ds.SOPClassUID, ds.VerificationFlag) == (COMPREHENSIVE_3D_SR, "VERIFIED")
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_a_reader_judges_and_signs_on_a_phone_by_touch(browser, analysed, address, as_before):
    signed = len(findings_of(address, analysed)["verified"])
    with page_of(browser, address, **PHONE) as page:
        open_study(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        at = index_of(page)
        swipe(page, (195, 500), (195, 440))
        expect(page.locator(".pane")).not_to_have_attribute("data-index", str(at))
        page.get_by_role("button", name="Window").tap()
        expect(page.get_by_role("button", name="Window")).to_have_attribute("aria-pressed", "true")
        before = page.locator(".bottom-left").inner_text()
        swipe(page, (195, 500), (255, 520))
        expect(page.locator(".bottom-left")).not_to_have_text(before)
        keep_picture(page, "reader-phone")

        card = first_finding(page)
        name = card.locator(".measurement").inner_text()
        card.get_by_role("button", name="Accept").tap()
        say_who(page)
        expect(page.locator(".finding", has_text=name)).to_have_attribute("data-verdict", "accept")
        first_finding(page).get_by_role("button", name="Correct").tap()
        page.get_by_label("Diameter").fill("8,5")
        page.get_by_role("button", name="Save").tap()
        expect(page.locator(".finding[data-verdict=correct]")).to_be_visible()
        page.get_by_role("button", name="Sign without those that wait").tap()
        expect(page.get_by_text("Signed: the verified report is stored")).to_be_visible()
    assert len(findings_of(address, analysed)["verified"]) == signed + 1


def swipe(page, start, end) -> None:
    """One finger from place to place, as a touch screen tells it."""
    session = page.context.new_cdp_session(page)
    for number in range(6):
        x, y = (a + (b - a) * number / 5 for a, b in zip(start, end, strict=True))
        kind = "touchStart" if number == 0 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_verdict_is_taken_back_and_a_finding_added(browser, analysed, address, as_before):
    with page_of(browser, address, **WORKSTATION) as page:
        open_study(page)
        page.get_by_role("button", name="ct-nodule-candidates").first.click()
        expect(page.get_by_role("dialog").get_by_text("Not for", exact=True)).to_be_visible()
        page.get_by_role("button", name="Close").click()
        first_finding(page).get_by_role("button", name="Reject").click()
        say_who(page)
        expect(page.locator(".finding[data-verdict=reject]")).to_be_visible()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator(".finding[data-verdict=reject]")).to_have_count(0)
        page.get_by_role("button", name="Add a finding").click()
        page.get_by_label("Finding", exact=True).fill("Mass")
        page.locator(".pane").click(position={"x": 400, "y": 300})
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".finding-label", has_text="Mass")).to_be_visible()
    (added,) = [each for each in findings_of(address, analysed)["findings"] if each["model"] is None]
    assert (added["label"], added["region"]["kind"]) == ("Mass", "point")


@pytest.fixture
def critical(analysed):
    """One finding of the sample study is critical."""
    study = study_of(analysed)
    records = [each for each in analysed.findings.of_study(study) if each.model == "ct-nodule-candidates"]
    last = records[-1]
    analysed.findings.replace_report(last.result, [replace(each, critical=each is last) for each in records])
    yield last
    analysed.findings.replace_report(last.result, records)


def test_a_critical_finding_is_seen_first_and_acknowledged(browser, address, critical):
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/")
        expect(page.locator("tr.study.critical .alarm")).to_have_text("⚠ Critical")
        keep_picture(page, "worklist-critical")
        open_study(page)
        card = page.locator(".finding").first
        expect(card).to_have_class("finding selected critical")
        expect(page.locator(".pane")).to_have_attribute("data-shown", critical.region.sop)
        expect(page.locator(".mark-shape.selected")).to_be_visible()
        keep_picture(page, "reader-critical")
        card.get_by_role("button", name="Acknowledge").click()
        say_who(page)
        expect(page.get_by_text("Critical · acknowledged by Reader Ann")).to_be_visible()
        page.get_by_role("link", name="Worklist").click()
        expect(page.locator("tr.study")).to_have_count(1)
        expect(page.locator(".alarm")).to_have_count(0)


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
        assert [
            page.locator(f".side-{edge}").inner_text() for edge in ("left", "right", "top", "bottom")
        ] == [
            "R",
            "L",
            "A",
            "P",
        ]


def test_three_planes_meet_in_a_finding_with_the_window_of_the_image(browser, address):
    with page_of(browser, address, **WORKSTATION) as page:
        open_study(page)
        page.get_by_role("button", name="MPR").click()
        expect(page.locator(".reference")).to_have_count(3)
        expect(page.locator(".mpr .mark-shape.selected")).to_have_count(3)
        coronal = page.get_by_label("Coronal plane")
        assert [coronal.locator(f".side-{edge}").inner_text() for edge in ("left", "top")] == ["R", "H"]
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
        assert focus(page) == "main"
        open_study(page)
        keys = page.get_by_role("button", name="Keys")
        keys.click()
        page.keyboard.press("Escape")
        expect(keys).to_be_focused()
        card = first_finding(page)
        label = card.locator(".finding-open").inner_text()
        card.get_by_role("button", name="Accept").click()
        say_who(page)
        expect(first_finding(page, "accept")).to_be_visible()
        expect(page.locator(".finding-open:focus")).to_have_text(label, use_inner_text=True)


def focus(page) -> str:
    return page.evaluate("document.activeElement.id")


def test_the_worklist_is_found_through_by_keys(browser, address):
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/")
        expect(page.locator("tr.study")).to_have_count(1)
        page.keyboard.press("/")
        page.keyboard.type("nobody")
        expect(page.get_by_text("No study is like that")).to_be_visible()
        assert page.url.endswith("?patient=nobody")
        page.get_by_label("Patient", exact=True).fill("triang")
        expect(page.locator("tr.study")).to_have_count(1)
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator(".pane[data-shown]")).to_be_visible()


def test_what_arrives_appears_by_itself(browser, analysed, address):
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/")
        expect(page.locator("tr.study")).to_have_count(1)
        uid = "1.2.826.0.1.77"
        store_ct(analysed, StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.1")
        expect(page.locator("tr.study")).to_have_count(2)
        analysed.archive.delete(uid)
        expect(page.locator("tr.study")).to_have_count(1)


@pytest.mark.parametrize("size", [WORKSTATION, PHONE], ids=["workstation", "phone"])
def test_the_pages_have_no_barriers(browser, address, size, request):
    with page_of(browser, address, bypass_csp=True, **size) as page:
        page.goto("/")
        expect(page.locator("tr.study")).to_have_count(1)
        page.get_by_role("button", name="Filters").click()
        assert barriers(page) == []
        keep_picture(page, f"worklist-{request.node.callspec.id}")
        open_study(page)
        page.locator(".finding-open").first.click()
        first_finding(page).get_by_role("button", name="Correct").click()
        assert barriers(page) == []


def test_without_webgl_images_and_masks_are_there_all_the_same(playwright, address):
    with (
        chromium(playwright, "--disable-3d-apis") as browser,
        page_of(browser, address, **WORKSTATION) as page,
    ):
        open_study(page)
        expect(page.locator("canvas.masks")).to_be_visible()
        assert picture_of(page).std() > 20
        page.keyboard.press("ArrowDown")


def test_a_study_that_is_not_there_says_so(browser, address):
    with page_of(browser, address, expected="404", **WORKSTATION) as page:
        page.goto("/studies/1.2.3")
        expect(page.get_by_text("There is no such study")).to_be_visible()
