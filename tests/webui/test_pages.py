"""The pages over a real archive, with findings as the pipeline writes them."""

import re

import pytest

from inference.findings import Code, Measurement, Score
from inference.records import FindingRecord, Region, SegmentReference
from tests.storage.builders import SERIES, SOP, STUDY
from webui.pages import number, picture, unit
from webui.studies import KeyImage

LUNG = Code("39607008", "SCT", "Lung")
NODULE = Code("27925004", "SCT", "Nodule")
VOLUME = Measurement(Code("118565006", "SCT", "Volume"), 4079.06, Code("ml", "UCUM", "milliliter"))
REPORT = "1.2.826.0.1.9"


def finding(key: str, code: Code, **values) -> FindingRecord:
    return FindingRecord(
        work_item="1.2.3",
        study=STUDY,
        series=SERIES,
        result=REPORT,
        model="ct-test",
        version="1.0.0",
        key=key,
        tracking_uid="1.2.3.4",
        code=code,
        **{"presence": "present", **values},
    )


def test_an_empty_archive_says_what_to_do(web):
    assert "isocenter send" in web.get("/").text


def test_worklist_shows_the_study_and_what_was_found(web, store, services):
    store()
    services.findings.replace_report(
        REPORT, [finding("lung", LUNG, presence="not stated", measurements=(VOLUME,))]
    )
    text = web.get("/").text
    for said in ("Triangle, Red", "P1", "2024-02-29", "Thorax nativ", "Lung: 4079.1 ml"):
        assert said in text


def test_search_by_any_part_of_the_name(web, store):
    store()
    assert "Triangle, Red" in web.get("/", params={"patient": "angle"}).text
    assert "No study of a patient like" in web.get("/", params={"patient": "nobody"}).text
    assert web.get("/", params={"patient": "*[%_\\"}).status_code == 200


def test_names_from_outside_stay_text(web, store):
    store(PatientName="<script>alert(1)</script>", StudyDescription='"><img src=x onerror=alert(1)>')
    for path in ("/", f"/studies/{STUDY}", "/?patient=%3Cscript%3E"):
        text = web.get(path).text
        assert "<script" not in text
        assert "<img src=x" not in text


def test_study_page_shows_findings_with_units_and_doubts(web, store, services):
    store()
    score = Score(0.93, Code("111012", "DCM", "Certainty of Finding"))
    services.findings.replace_report(
        REPORT,
        [
            finding(
                "lung", LUNG, presence="not stated", measurements=(VOLUME,), flags=("The lungs are cut off.",)
            ),
            finding("n1", NODULE, score=score, region=Region("point", SOP, 1, (2.0, 2.0))),
            finding("n2", NODULE, presence="absent"),
        ],
    )
    text = web.get(f"/studies/{STUDY}").text
    for said in ("AI draft, not verified", "The lungs are cut off.", "0.93", "absent", "4079.1"):
        assert said in text


def test_every_picture_of_a_study_page_is_there(web, store, services):
    store()
    for records in ([], [finding("n1", NODULE, region=Region("point", SOP, 1, (2.0, 2.0)))]):
        services.findings.replace_report(REPORT, records)
        sources = re.findall(r'<img src="([^"]+)" alt="[^"]+" loading', web.get(f"/studies/{STUDY}").text)
        assert len(sources) == 1
        for source in sources:
            answer = web.get(source.replace("&amp;", "&"))
            assert answer.status_code == 200, source
            assert answer.headers["Content-Type"].startswith("image/")


def test_a_segmentation_that_was_deleted_leaves_a_page_without_its_picture(web, store, services):
    store()
    gone = SegmentReference("1.2.3.9", 1)
    services.findings.replace_report(REPORT, [finding("lung", LUNG, presence="not stated", segment=gone)])
    answer = web.get(f"/studies/{STUDY}")
    assert answer.status_code == 200
    assert "1.2.3.9" not in answer.text


def test_an_unknown_study_is_a_404_that_says_so(web):
    answer = web.get("/studies/1.2.3")
    assert answer.status_code == 404
    assert "1.2.3" in answer.text


def test_interface_page_lists_every_route(web):
    text = web.get("/docs").text
    for path in web.get("/openapi.json").json()["paths"]:
        assert path in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12.0, "12"), (4079.06, "4079.1"), (3.3367, "3.337"), (0.00012, "0.00012"), (-891.4, "-891.4")],
)
def test_numbers_as_a_report_would_say_them(value, shown):
    assert number(value) == shown


def test_units_as_people_write_them():
    assert [unit(Code(value, "UCUM", "")) for value in ("[hnsf'U]", "ml", "1")] == ["HU", "ml", ""]


def test_a_mask_and_marks_are_drawn_over_their_frame():
    image = KeyImage("1", "2", "3", segmentation="4", frame=5, circles=((1.0, 2.0, 3.0),))
    assert (
        picture(image, "/dicom-web")
        == "/overlay/studies/1/series/2/instances/3?seg=4&mark=1.0%2C2.0%2C3.0&frame=5"
    )
