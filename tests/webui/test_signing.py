"""A signed study has a verified report beside the untouched draft: valid, readable by others, made once."""

import itertools
import subprocess
from datetime import UTC, datetime
from io import BytesIO

import highdicom as hd
import pydicom
import pytest

from inference.results.context import ResultContext
from inference.results.reading import is_report, is_verified_report, predecessors, read_findings
from inference.results.sources import source_images
from inference.results.write import result_objects
from inference.reviews import Reviewer
from inference.reviews_sql import SqlReviews
from storage.instances import Origin
from tests.inference.analyses import SERIES, STUDY, candidates, ct_series, lungs, part10
from tests.inference.test_results import groups_of, nothing_found, tool

ANN = {"reviewer": {"name": "Reader^Ann"}}
BASE = f"/api/studies/{STUDY}"


def ingest(services, files, origin) -> None:
    with services.archive.delivery(origin) as delivery:
        for data in files:
            file = services.spool.new()
            file.write(data)
            delivery.ingest(file)


@pytest.fixture
def analysed(services):
    """Stores a CT series and what models say of it; tells the reports' UIDs."""
    headers = ct_series()
    ingest(services, [part10(header) for header in headers], Origin("import"))

    def analyse(*makes) -> list[str]:
        reports = []
        for make in makes:
            context = ResultContext(f"2.25.{777 + len(reports)}", datetime(2026, 1, 2, tzinfo=UTC))
            images = source_images(ds.to_json().encode() for ds in headers)
            objects = result_objects(make(headers), images, context)
            ingest(services, objects.files, Origin("inference"))
            services.findings.replace_report(context.report, objects.records)
            reports.append(context.report)
        return reports

    return analyse


@pytest.fixture
def judge(web):
    """Says something of each finding in turn, from a list of bodies."""

    def say(*bodies: dict) -> list[str]:
        findings = [each["id"] for each in web.get(f"{BASE}/findings").json()["findings"]]
        for finding, body in zip(findings, bodies, strict=False):
            answer = web.post(f"{BASE}/findings/{finding}/reviews", json=ANN | body)
            assert answer.status_code == 201, answer.text
        return findings

    return say


def sign(web, **more) -> dict:
    answer = web.post(f"{BASE}/sign", json=ANN | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def stored(services, sop: str) -> bytes:
    with services.archive.open(services.archive.instance(sop)) as file:
        return file.read()


ACCEPT, REJECT = {"verdict": "accept", "comment": "as I see it"}, {"verdict": "reject", "comment": "vessel"}
MOVED = {"sop_uid": f"{SERIES}.3", "kind": "box", "points": [[4, 5], [9.5, 11]]}
OUTLINE = {"sop_uid": f"{SERIES}.2", "kind": "polygon", "points": [[4, 5], [9, 5], [7, 8]]}
LINE = {"sop_uid": f"{SERIES}.2", "kind": "line", "points": [[4, 5], [9, 7]]}
DIAMETER_7 = {"measurements": [{"name": "Diameter", "value": 7.25, "unit": "mm"}], "label": "Granuloma"}
CASES = {
    "accepted and rejected": ((candidates,), (ACCEPT, REJECT)),
    "all rejected": ((candidates,), (REJECT, REJECT)),
    "corrected": (
        (candidates,),
        (
            {"verdict": "correct", "corrected": DIAMETER_7 | {"region": MOVED}},
            {"verdict": "correct", "corrected": {"region": OUTLINE}},
        ),
    ),
    "masks": ((lungs,), (ACCEPT, REJECT)),
    "nothing found": ((nothing_found,), ()),
    "two models": (
        (candidates, lungs),
        ({"verdict": "correct", "corrected": {"region": LINE}}, REJECT, ACCEPT, ACCEPT),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verified_report_is_valid_and_read_by_others(web, analysed, judge, case, tmp_path_factory):
    makes, verdicts = CASES[case]
    drafts = analysed(*makes)
    judge(*verdicts)
    signed = sign(web)

    path = tmp_path_factory.mktemp("verified") / "sr.dcm"
    address = f"/dicom-web/studies/{STUDY}/series/{signed['series_uid']}/instances/{signed['sr_uid']}"
    answer = web.get(address, headers={"Accept": "application/dicom"})
    path.write_bytes(answer.content)
    said = tool("dciodvfy", "-new", str(path))
    assert [line for line in said.splitlines() if line.startswith(("Error", "E:"))] == []
    dumped = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
    assert dumped.returncode == 0
    sr = pydicom.dcmread(path)
    assert (sr.VerificationFlag, sr.CompletionFlag, sr.PreliminaryFlag) == ("VERIFIED", "COMPLETE", "FINAL")
    observer = sr.VerifyingObserverSequence[0]
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("Reader^Ann", "not stated")
    assert sorted(predecessors(sr)) == sorted(drafts)
    assert (sr.SeriesInstanceUID, sr.StudyInstanceUID) == (signed["series_uid"], STUDY)
    assert is_verified_report(sr)
    assert not is_report(sr)

    read = read_findings(sr)
    assert {record.series for record in read} == {SERIES}
    drawn = {(each.region.kind, each.region.points) for each in read if each.region}
    asked = [said["corrected"]["region"] for said in verdicts if "corrected" in said]
    assert {(each["kind"], tuple(itertools.chain(*each["points"]))) for each in asked} <= drawn
    content = hd.sr.srread(BytesIO(path.read_bytes())).content
    groups = [
        *content.get_planar_roi_measurement_groups(),
        *content.get_volumetric_roi_measurement_groups(),
        *content.get_image_measurement_groups(),
    ]
    assert sorted(group.tracking_uid for group in groups) == sorted(each.tracking_uid for each in read)


def test_what_the_reviewer_said_is_what_the_report_says(web, services, analysed, judge):
    (draft,) = analysed(candidates)
    before = stored(services, draft)
    first, second = read_findings(pydicom.dcmread(BytesIO(before)))
    judge({"verdict": "correct", "corrected": DIAMETER_7 | {"region": MOVED}}, REJECT)
    added = web.post(f"{BASE}/findings", json={"series_uid": SERIES, "label": "Nodule", **ANN}).json()
    sr = pydicom.dcmread(BytesIO(stored(services, sign(web)["sr_uid"])))

    corrected, rejected, own = read_findings(sr)
    assert (corrected.tracking_uid, corrected.code.meaning) == (first.tracking_uid, "Granuloma")
    assert (corrected.measurements[0].value, corrected.region.points) == (7.25, (4.0, 5.0, 9.5, 11.0))
    assert (corrected.model, corrected.site) == ("", first.site)
    assert (rejected.tracking_uid, rejected.presence) == (second.tracking_uid, "absent")
    assert (rejected.region, rejected.measurements, rejected.score) == (None, (), None)
    assert (own.tracking_uid, own.code.meaning, own.model) == (added["id"], "Nodule", "")
    texts = [item.get("TextValue") for item in groups_of(sr)[1].ContentSequence]
    assert "Rejected by the reviewer: vessel" in texts
    assert stored(services, draft) == before


def test_signing_again_gives_the_same_report_and_a_new_verdict_a_new_one(web, services, analysed, judge):
    analysed(candidates)
    judge(ACCEPT, ACCEPT)
    first = sign(web)
    assert sign(web) == first
    answer = web.get(f"{BASE}/findings").json()
    assert all(finding["signed"] for finding in answer["findings"])
    assert answer["results"][0]["verified"]
    assert [each["sr_uid"] for each in answer["verified"]] == [first["sr_uid"]]
    assert answer["verified"][0]["by"] == "Reader^Ann"

    judge(REJECT)
    assert [each["signed"] for each in web.get(f"{BASE}/findings").json()["findings"]] == [False, True]
    second = sign(web)
    assert second != first
    assert first["sr_uid"] in predecessors(pydicom.dcmread(BytesIO(stored(services, second["sr_uid"]))))


def test_findings_without_a_verdict_are_listed_or_left(web, services, analysed, judge):
    analysed(candidates)
    first, second = judge(ACCEPT)
    refused = web.post(f"{BASE}/sign", json=ANN)
    assert (refused.status_code, refused.json()["findings"]) == (409, [second])

    signed = sign(web, unreviewed="leave")
    read = read_findings(pydicom.dcmread(BytesIO(stored(services, signed["sr_uid"]))))
    assert [record.tracking_uid for record in read] == [first]


def test_a_study_without_findings_cannot_be_signed(web, analysed):
    answer = web.post(f"{BASE}/sign", json=ANN)
    assert answer.status_code == 400
    assert "no findings" in answer.json()["detail"]


def test_a_verified_report_that_was_deleted_is_not_signed_any_more(web, services, analysed, judge):
    analysed(candidates)
    judge(ACCEPT, ACCEPT)
    signed = sign(web)
    services.archive.delete(STUDY, signed["series_uid"])
    answer = web.get(f"{BASE}/findings").json()
    assert answer["verified"] == []
    assert not any(finding["signed"] for finding in answer["findings"])
    assert sign(web) == signed
    assert web.get(f"{BASE}/findings").json()["verified"]


def test_a_series_that_is_stored_twice_by_a_crash_is_signed_once(web, services, analysed, judge, monkeypatch):
    """The report was stored, and the process died before it said so."""
    analysed(candidates)
    judge(ACCEPT, ACCEPT)
    with monkeypatch.context() as broken:
        broken.setattr(SqlReviews, "end_signing", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            services.signing().sign(STUDY, Reviewer("Reader^Ann"))
    assert web.get(f"{BASE}/findings").json()["verified"] == []
    signed = sign(web)
    assert [each["sr_uid"] for each in web.get(f"{BASE}/findings").json()["verified"]] == [signed["sr_uid"]]
    assert len(services.archive.instances(STUDY, signed["series_uid"])) == 1
