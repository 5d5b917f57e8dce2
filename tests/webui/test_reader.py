"""A reader at a workstation, and one with a phone: from the worklist to the signed report."""

import subprocess
from dataclasses import replace

import pydicom
import pytest
from playwright.sync_api import expect

from tests.isocenter.conftest import store_ct
from tests.support.programs import needs
from tests.webui.browser import PHONE, WORKSTATION, barriers, keep_picture, page_of
from tests.webui.reading import (
    findings_of,
    first_finding,
    index_of,
    open_study,
    picture_of,
    say_who,
    study_of,
)

pytestmark = pytest.mark.xdist_group("browser")

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


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
        page.locator(".finding").last.scroll_into_view_if_needed()
        expect(page.locator(".pane")).to_be_in_viewport(ratio=0.9)

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


def test_a_study_that_is_not_there_says_so(browser, address):
    with page_of(browser, address, expected="404", **WORKSTATION) as page:
        page.goto("/studies/1.2.3")
        expect(page.get_by_text("There is no such study")).to_be_visible()
