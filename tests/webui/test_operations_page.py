"""The operations page and the upload page, in Chromium."""

import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from inference.governance import Standing
from inference.inputs import Inputs, SeriesInput
from inference.workitems import ModelReference, NewWorkItem, Outcome, State
from isocenter.http import create_app
from isocenter.parts import Part
from storage.errors import DuplicateInstance
from storage.instances import Origin
from tests.inference.analyses import ct_series
from tests.inference.analyses import part10 as file_of
from tests.inference.packages import dark_package
from tests.storage.builders import STUDY, part10, spooled
from tests.support.system import wait_until
from tests.support.web import serving
from tests.webui.browser import PHONE, WORKSTATION, barriers, keep_picture, page_of

pytestmark = pytest.mark.xdist_group("browser")

LONG_UID = f"1.2.{'8' * 59}"
SIZES = pytest.mark.parametrize("size", [WORKSTATION, PHONE], ids=["workstation", "phone"])


@pytest.fixture
def address(services):
    with serving(create_app(services)) as address:
        yield address


def work_item(services, study: str) -> str:
    new = NewWorkItem(
        model=ModelReference("ct-lung-density", "1.0.0", "a" * 64, "b" * 64),
        inputs=Inputs((SeriesInput(study, f"{study}.1", (f"{study}.1.1",)),), "c" * 64, f"{study}.1"),
        due_at=datetime.now(UTC) - timedelta(minutes=1),
    )
    services.work.create_if_absent(new)
    return new.uid


def claimed(services, study: str):
    return services.work.claim(work_item(services, study), "worker", timedelta(minutes=5))


@pytest.fixture
def busy(services):
    """Something arrived, was refused, runs, waits, failed; the UID of the work item that failed."""
    with services.archive.delivery(Origin("dimse", "CT1", "10.0.0.1")) as delivery:
        for number in range(3):
            delivery.ingest(spooled(services.spool, part10(SOPInstanceUID=f"{LONG_UID}{number}")))
        other = spooled(services.spool, part10(SOPInstanceUID=f"{LONG_UID}0", InstanceNumber=9))
        with pytest.raises(DuplicateInstance):
            delivery.ingest(other)
    work_item(services, "1.2.1")
    running = claimed(services, "1.2.2")
    services.work.progress(running.uid, running.transaction, 40, "segmenting")
    failed = claimed(services, "1.2.3")
    services.work.end(failed.uid, failed.transaction, Outcome.FAILED, "out of memory")
    return failed.uid


@SIZES
def test_what_arrives_runs_and_fails_is_seen(browser, address, busy, size, request):
    with page_of(browser, address, bypass_csp=True, **size) as page:
        page.goto("/operations")
        expect(page.get_by_role("region", name="What arrives")).to_contain_text("CT1")
        expect(page.get_by_role("region", name="Work", exact=True)).to_contain_text("40 %")
        expect(page.get_by_role("region", name="Failed")).to_contain_text("out of memory")
        expect(page.get_by_role("region", name="Refused objects")).to_contain_text(LONG_UID)
        expect(page.get_by_text("1 study, 3 objects")).to_be_visible()
        expect(page.get_by_role("region", name="What is sent on")).to_contain_text("no destination")
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        keep_picture(page, f"operations-{request.node.callspec.id}")


def test_parts_that_run_and_that_fell_silent_are_told_apart(browser, address, services):
    now = datetime.now(UTC)
    long_ago = now - timedelta(minutes=5)
    services.parts.beat(Part("1", "node", "ward-1", 7, "0.9", now, now))
    services.parts.beat(Part("2", "worker", "ward-2", 8, "0.9", long_ago, long_ago))
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/operations")
        rows = page.get_by_role("region", name="Parts").locator("tbody tr")
        expect(rows.nth(0)).to_contain_text("node● Runs0.9")
        expect(rows.nth(1)).to_contain_text("worker✕ Silent0.9")


@pytest.fixture
def in_shadow(services):
    """A model with one version in shadow of the other, and what both found."""
    for number in (0, 1):
        version = f"1.{number}.0"
        dark_package(services.settings.models_dir / f"dark-{version}", version=version)
        services.decisions.record(
            "dark", Standing.SHADOW if number else Standing.ENABLED, by="Ann", version=version
        )
    with services.archive.delivery(Origin("dimse", "CT1")) as delivery:
        for image in ct_series(4):
            delivery.ingest(spooled(services.spool, file_of(image)))
    pipeline = services.pipeline()
    begun = wait_until(services.triggers().poll, bool, 10)
    for uid in [uid for uid in begun if services.work.get(uid).model.name == "dark"]:
        pipeline.run(uid)


def test_a_version_in_shadow_is_compared(browser, address, in_shadow):
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/operations")
        page.get_by_text("Version 1.1.0 runs in shadow: compare").click()
        expect(page.get_by_text("1 of 1 input compared; the versions agree on 100 %")).to_be_visible()
        expect(page.get_by_role("row", name="Lung, Volume").get_by_text("0.00").first).to_be_visible()
        model = page.get_by_role("article").filter(has_text="Version 1.1.0 runs in shadow")
        model.get_by_role("button", name="Promote 1.1.0").click()
        model.get_by_role("button", name="Let it take over").click()
        page.get_by_label("Family name").fill("Admin")
        page.get_by_role("button", name="This is me").click()
        promoted = page.get_by_role("article").filter(has_text="dark 1.1.0")
        promoted.get_by_role("button", name="Run 1.0.0 in shadow").click()
        promoted.get_by_role("button", name="Run it beside").click()
        expect(promoted.get_by_text("Version 1.0.0 runs in shadow: compare")).to_be_visible()


def test_what_failed_is_tried_again_by_a_button(browser, address, services, busy):
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/operations")
        failures = page.get_by_role("region", name="Failed")
        failures.get_by_role("button", name="Try again").click()
        expect(failures.get_by_text("Nothing has failed")).to_be_hidden()
        expect(page.get_by_text("2 wait")).to_be_visible()
    assert services.work.counts()[State.SCHEDULED] == 2


def test_a_model_is_switched_off_with_a_reason(browser, address, services):
    with page_of(browser, address, **WORKSTATION) as page:
        page.goto("/operations")
        model = page.get_by_role("article").filter(has_text="ct-lung-density")
        model.get_by_role("button", name="Disable").click()
        model.get_by_label("Why?").fill("too many alarms")
        model.get_by_role("button", name="Stop it").click()
        page.get_by_label("Family name").fill("Admin")
        page.get_by_role("button", name="This is me").click()
        expect(model.get_by_text("by Admin: too many alarms")).to_be_visible()
    assert services.catalog.why_stopped("ct-lung-density")


@pytest.fixture
def folder(tmp_path):
    """DICOM files, one in a ZIP file, and what is none."""
    folder = tmp_path / "disc"
    (folder / "deeper").mkdir(parents=True)
    for number in range(3):
        (folder / "deeper" / f"{number}.dcm").write_bytes(part10(SOPInstanceUID=f"1.2.3.{number}"))
    (folder / "README.txt").write_text("no image")
    with zipfile.ZipFile(folder / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/7.dcm", part10(SOPInstanceUID="1.2.3.7"))
        archive.writestr("in/", "")
    (folder / "cut.zip").write_bytes((folder / "more.zip").read_bytes()[:-30])
    return folder


@SIZES
def test_a_folder_is_uploaded_and_each_file_is_told(browser, address, folder, size, request):
    (folder / "other.dcm").write_bytes(part10(SOPInstanceUID="1.2.3.0", InstanceNumber=9))
    with page_of(browser, address, bypass_csp=True, **size) as page:
        page.goto("/upload")
        page.get_by_label("Choose a folder").set_input_files(folder)
        expect(page.get_by_text("Done:")).to_contain_text("4 stored, 1 refused, 1 failed, 1 left out")
        problems = page.get_by_role("region", name="Not simply stored")
        expect(problems.locator("tr", has_text="README.txt")).to_contain_text("Not a DICOM file")
        expect(problems.locator("tr", has_text="cut.zip")).to_contain_text("no ZIP file")
        expect(problems.locator("tr", has_text="Refused")).to_contain_text("Other bytes are stored")
        assert barriers(page) == []
        keep_picture(page, f"upload-{request.node.callspec.id}")
        page.get_by_role("region", name="Studies").get_by_role("link").click()
        expect(page).to_have_url(f"{address}/studies/{STUDY}")


def test_files_are_dropped_and_sent_again_when_the_server_was_away(browser, address, services, folder):
    with page_of(browser, address, expected="503", **WORKSTATION) as page:
        page.goto("/upload")
        page.route("**/dicom-web/studies", lambda route: route.fulfill(status=503, body="{}"), times=1)
        drop(page, ".drop", "7.dcm", (folder / "deeper" / "1.dcm").read_bytes())
        expect(page.get_by_text("1 failed")).to_be_visible()
        page.get_by_role("button", name="Send what failed again").click()
        expect(page.get_by_text("Done: 1 stored")).to_be_visible()
    assert services.archive.counts()["instance"] == 1


def drop(page, target: str, name: str, content: bytes) -> None:
    """Drops a file as a desktop would."""
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            return transfer;
        }""",
        [name, list(content)],
    )
    page.dispatch_event(target, "drop", {"dataTransfer": transfer})
