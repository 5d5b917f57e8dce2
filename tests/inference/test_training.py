"""Reviewed cases as a training set: nobody is named, and everything fits together."""

import hashlib
import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from inference.findings_sql import SqlFindings
from inference.results.context import ResultContext
from inference.results.reading import read_findings
from inference.results.sources import source_images
from inference.results.write import result_objects
from inference.reviewing import Reviews
from inference.reviews import Correction, InvalidReview, NewReview, Reviewer, Verdict
from inference.reviews_sql import SqlReviews
from inference.training.burned_in import burned_in
from inference.training.deidentify import deidentify
from inference.training.export import TrainingSet
from inference.training.pseudonyms import Pseudonyms, shifted
from storage.instances import Origin
from tests.inference.analyses import STUDY, candidates, ct_series, lungs
from tests.support.programs import needs

PSEUDONYMS = Pseudonyms(b"0123456789abcdef0123456789abcdef")
NAMING = {
    "PatientName": "Quillfeather^Zenobia",
    "PatientID": "PID-778899",
    "PatientBirthDate": "19310405",
    "PatientAge": "094Y",
    "AccessionNumber": "ACC-556677",
    "InstitutionName": "Saint Odile Hospital",
    "ReferringPhysicianName": "Vanderbrook^Ignatius",
    "OperatorsName": "Ostrowicz^Tech",
    "StudyDate": "20260102",
    "StationName": "SCANNER-44Q",
    "StudyDescription": "Chest of Quillfeather",
    "ImageComments": "call Mrs Quillfeather",
    "ProtocolName": "Odile chest",
    "ManufacturerModelName": "Model for SCANNER-44Q",
    "DeviceSerialNumber": "SN-990011",
    "BurnedInAnnotation": "NO",
}
REVIEWER = Reviewer("Hollingsworth^Ann", "u-4711")


def images() -> list[Dataset]:
    headers = ct_series(**NAMING)
    for header in headers:
        header.add_new(0x00091001, "LO", "private Quillfeather")
        header.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "Quillfeather")
    return headers


@pytest.fixture
def reviewed(archive, engine, deliver, spool):
    """A CT series with two reports of models; findings accepted, corrected, rejected and added."""
    headers = images()
    deliver(headers)
    findings = SqlFindings(engine)
    with archive.delivery(Origin("inference")) as delivery:
        for number, make in enumerate((lungs, candidates)):
            context = ResultContext(f"2.25.{777 + number}", datetime(2026, 1, 2, tzinfo=UTC))
            sources = source_images(ds.to_json().encode() for ds in headers)
            objects = result_objects(make(headers), sources, context)
            for data in objects.files:
                file = spool.new()
                file.write(data)
                delivery.ingest(file)
            findings.replace_report(context.report, objects.records)
    reviews = Reviews(archive, findings, SqlReviews(engine))
    found = [each.record for each in reviews.of_study(STUDY).findings]
    placed = next(each for each in found if each.region)
    for record in found:
        verdict = Verdict.REJECT if record is found[-1] else Verdict.ACCEPT
        if record is not placed:
            reviews.judge(
                STUDY, record.tracking_uid, verdict, REVIEWER, comment="as in Quillfeather's last CT"
            )
    elsewhere = Correction(region=placed.region)
    reviews.judge(STUDY, placed.tracking_uid, Verdict.CORRECT, REVIEWER, correction=elsewhere)
    return reviews, headers


@pytest.fixture
def training(archive, reviewed, tmp_path):
    def write(folder: str = "set", **options) -> Path:
        TrainingSet(archive, reviewed[0], PSEUDONYMS, tmp_path / folder).write([STUDY], **options)
        return tmp_path / folder

    return write


def originals(headers: list[Dataset]) -> set[str]:
    """What must not be found again."""
    words = {part for value in NAMING.values() for part in value.replace("^", " ").split() if len(part) > 4}
    uids = {str(element.value) for ds in headers for element in ds.iterall() if element.VR == "UI"}
    kept = {"Model", "chest", "Chest"}
    return (words | {uid for uid in uids if UID(uid).is_private is not False}) - kept | {
        "Hollingsworth",
        "u-4711",
        STUDY + ".",
    }


def test_no_identifier_is_found_in_any_byte(training, reviewed):
    folder = training()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > len(reviewed[1])
    for path in files:
        data = path.read_bytes()
        for word in originals(reviewed[1]):
            whole = rb"(?<![0-9.])" + re.escape(word.encode()) + rb"(?![0-9.])"
            assert not re.search(whole, data), f"{path.name} holds {word}"


@needs("dciodvfy")
def test_the_written_objects_are_valid(training):
    for path in training().rglob("*.dcm"):
        if path.parent.name == "images" and path != min(path.parent.iterdir()):
            continue
        said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in said.stderr.splitlines() if line.startswith("Error")]
        # The test images have no pixels and little else.
        assert not errors or path.parent.name == "images", (path, errors)


def test_images_masks_labels_and_report_fit_together(training):
    folder = training()
    (case,) = (path for path in folder.iterdir() if path.is_dir())
    labels = json.loads((case / "labels.json").read_text())
    written = {dcmread(path).SOPInstanceUID: dcmread(path) for path in case.rglob("*.dcm")}
    assert {ds.StudyInstanceUID for ds in written.values()} == {labels["study"]}
    assert {str(ds.PatientID) for ds in written.values()} == {labels["patient"]}
    verdicts = [each["verdict"] for each in labels["findings"]]
    assert {"accept", "correct", "reject"} <= set(verdicts)
    for finding in labels["findings"]:
        for place in ("region", "image", "mask"):
            assert finding[place] is None or finding[place]["sop"] in written
        assert finding["present"] == (finding["verdict"] != "reject")
    records = read_findings(dcmread(case / "report.dcm"))
    assert {record.tracking_uid for record in records} == {
        each["tracking_uid"] for each in labels["findings"]
    }


def test_the_manifest_names_every_file_with_its_digest(training):
    folder = training()
    manifest = json.loads((folder / "manifest.json").read_text())
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {each["file"] for each in manifest["files"]} == there - {"manifest.json"}
    for each in manifest["files"]:
        assert hashlib.sha256((folder / each["file"]).read_bytes()).hexdigest() == each["sha256"]


def test_the_same_key_gives_the_same_files_again(training):
    first, second = ({p.name for p in training(name).rglob("*.dcm")} for name in ("one", "two"))
    assert first == second


def test_a_folder_that_is_not_empty_is_refused(training, tmp_path):
    training()
    with pytest.raises(InvalidReview, match="not empty"):
        training()


@pytest.mark.parametrize(
    "options",
    [{"model": "another"}, {"since": datetime.now(UTC) + timedelta(days=1)}],
    ids=["another model", "too early"],
)
def test_what_was_not_asked_for_is_left_out(training, options):
    assert json.loads((training(**options) / "manifest.json").read_text())["cases"] == 0


def test_studies_with_reviews_are_found(reviewed, engine):
    history = SqlReviews(engine)
    history.add(NewReview("1.2.3", "2.25.1", Verdict.ACCEPT, REVIEWER), datetime(2020, 1, 1, tzinfo=UTC))
    assert history.studies() == ["1.2.3", STUDY]
    assert history.studies(datetime(2024, 1, 1, tzinfo=UTC)) == [STUDY]


def test_dates_move_together_and_ages_above_89_are_one(training):
    folder = training()
    ds = dcmread(next(folder.rglob("images/*.dcm")))
    moved = datetime(2026, 1, 2) - PSEUDONYMS.days("PID-778899\0")  # noqa: DTZ001 - a date
    assert ds.StudyDate == f"{moved:%Y%m%d}"
    assert (ds.PatientAge, ds.PatientBirthDate, ds.PatientSex) == ("090Y", "", "F")
    assert ds.LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20260102", "20260101"),
        ("20260102123456.5+0100", "20260101123456.5+0100"),
        ("2026", "2025"),
        ("x", ""),
    ],
)
def test_dates_are_shifted(value, expected):
    assert shifted(value, timedelta(days=1)) == expected


@pytest.mark.parametrize(
    ("attributes", "doubtful"),
    [
        ({"Modality": "CT"}, False),
        ({"Modality": "US"}, True),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, False),
        ({"Modality": "CT", "BurnedInAnnotation": "YES"}, True),
        ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, True),
    ],
)
def test_pictures_that_may_show_a_name_are_doubtful(attributes, doubtful):
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    assert bool(burned_in(ds)) == doubtful


def errors_of(path: Path) -> set[str]:
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    return {re.sub(r"<[0-9.]*>", "", line) for line in said.stderr.splitlines() if line.startswith("Error")}


@needs("dciodvfy")
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what is wrong in the files
@pytest.mark.parametrize("kind", ["ct", "mr", "cr", "cxr", "enhanced", "nm", "pt", "us", "xa", "seg"])
def test_real_files_stay_as_valid_as_they_were_and_name_nobody(test_data, tmp_path, kind):
    for source in sorted((test_data / "dicom" / kind).glob("*.dcm"))[:2]:
        ds = dcmread(source)
        names = {part for part in str(ds.get("PatientName", "")).split("^") if len(part) > 4}
        words = {*names, str(ds.get("PatientID") or ""), str(ds.SOPInstanceUID), str(ds.StudyInstanceUID)}
        deidentify(ds, PSEUDONYMS)
        path = tmp_path / source.name
        ds.save_as(path, enforce_file_format=True)
        assert errors_of(path) <= errors_of(source), source
        assert not [word for word in words if len(word) > 4 and word.encode() in path.read_bytes()], source
        assert len(dcmread(path).PixelData) == len(dcmread(source).PixelData)
