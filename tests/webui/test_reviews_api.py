"""Findings judged over HTTP: the verdict that counts, the history that stays, and who said so."""

import json

import httpx
import pytest

from inference.findings import Code, Measurement, Score
from inference.records import FindingRecord, Region, SegmentReference
from inference.reviews import ReviewError
from isocenter.services import open_services
from isocenter.settings import load_settings
from tests.isocenter.conftest import store_ct, web_of
from tests.storage.builders import SERIES, SOP, STUDY
from webui.api.errors import STATUS

NODULE = Code("27925004", "SCT", "Nodule")
LUNG = Code("39607008", "SCT", "Lung")
RIGHT = Code("24028007", "SCT", "Right")
DIAMETER = Measurement(Code("81827009", "SCT", "Diameter"), 6.1, Code("mm", "UCUM", "mm"))
CERTAINTY = Score(0.81, Code("111012", "DCM", "Certainty of Finding"))
REPORT, TRACKING = "1.2.826.0.1.9", "1.2.3.4"
ANN = {"reviewer": {"name": "Reader^Ann"}}
BASE = f"/api/studies/{STUDY}/findings"
REVIEWS = f"{BASE}/{TRACKING}/reviews"


def nodule(**changes) -> FindingRecord:
    values = {
        "work_item": "1.2.3",
        "study": STUDY,
        "series": SERIES,
        "result": REPORT,
        "model": "ct-test",
        "version": "1.0.0",
        "key": "n1",
        "tracking_uid": TRACKING,
        "code": NODULE,
        "presence": "present",
        "site": LUNG,
        "laterality": RIGHT,
        "score": CERTAINTY,
        "measurements": (DIAMETER,),
        "region": Region("point", SOP, 1, (2.0, 2.5)),
    }
    return FindingRecord(**values | changes)


def fill(services) -> None:
    """A study with an image and one finding on it, whose report is stored like any object."""
    store_ct(services)
    store_ct(services, SOPInstanceUID=REPORT, SeriesInstanceUID="1.2.826.0.1.8")
    services.findings.replace_report(REPORT, [nodule()])


@pytest.fixture
def study(services):
    fill(services)


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory):
    """A client of an archive with the study; tests leave the finding as it is."""
    data = tmp_path_factory.mktemp("unjudged") / "data"
    with open_services(load_settings(None, {}, {"data": data})) as services, web_of(services) as client:
        fill(services)
        yield client


def findings(web: httpx.Client) -> list[dict]:
    return web.get(BASE).json()["findings"]


def test_a_finding_is_told_with_all_that_a_reader_needs(web, study):
    answer = web.get(BASE).json()

    (finding,) = answer["findings"]
    assert finding == finding | {
        "id": TRACKING,
        "result_uid": REPORT,
        "series_uid": SERIES,
        "model": "ct-test",
        "model_version": "1.0.0",
        "label": "Nodule",
        "code": {"value": "27925004", "scheme": "SCT", "meaning": "Nodule"},
        "site": "Lung, right",
        "score": 0.81,
        "region": {"sop_uid": SOP, "frame": 1, "kind": "point", "points": [[2.0, 2.5]]},
        "segment": None,
        "flags": [],
        "superseded": False,
        "signed": False,
        "review": None,
    }
    (measurement,) = finding["measurements"]
    assert (measurement["name"], measurement["value"], measurement["unit"]) == ("Diameter", 6.1, "mm")
    (result,) = answer["results"]
    assert (result["sr_uid"], result["series_uid"], result["model"]) == (REPORT, "1.2.826.0.1.8", "ct-test")
    assert (result["verified"], result["nothing_found"], answer["verified"]) == (False, False, [])


def test_a_report_is_superseded_by_the_one_that_names_it_without_any_work_list(web, study, services):
    later = nodule(result="1.2.826.0.1.10", tracking_uid="1.2.3.5", supersedes=REPORT)
    services.findings.replace_report("1.2.826.0.1.10", [later])
    assert [(each["id"], each["superseded"]) for each in findings(web)] == [
        (TRACKING, True),
        ("1.2.3.5", False),
    ]


def test_what_was_looked_for_and_not_found_is_a_result_and_no_finding(web, study, services):
    services.findings.replace_report(REPORT, [nodule(presence="absent", region=None)])
    answer = web.get(BASE).json()
    assert answer["findings"] == []
    assert answer["results"][0]["nothing_found"]


def test_a_score_that_is_no_certainty_is_a_number_like_others(web, study, services):
    raw = Score(3.25, Code("raw", "99TEST", "Raw model output"))
    mask = SegmentReference("1.2.3.9", 2)
    services.findings.replace_report(REPORT, [nodule(score=raw, region=None, segment=mask)])
    (finding,) = findings(web)
    assert finding["score"] is None
    assert ("Raw model output", 3.25) in [(m["name"], m["value"]) for m in finding["measurements"]]
    assert finding["segment"] == {"sop_uid": "1.2.3.9", "number": 2}


@pytest.mark.parametrize("verdict", ["accept", "reject"])
def test_the_last_verdict_counts_and_the_history_keeps_all(web, study, verdict):
    first = web.post(REVIEWS, json={"verdict": "reject", "comment": "a vessel", **ANN})
    second = web.post(REVIEWS, json={"verdict": verdict, "reviewer": {"name": "Second^Bob"}})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == first.json() | {"verdict": "reject", "by": "Reader^Ann", "comment": "a vessel"}

    (finding,) = findings(web)
    assert (finding["review"]["verdict"], finding["review"]["by"]) == (verdict, "Second^Bob")
    assert [each["verdict"] for each in web.get(REVIEWS).json()["reviews"]] == ["reject", verdict]


def test_undo_brings_back_the_verdict_before_and_stays_in_the_history(web, study):
    web.post(REVIEWS, json={"verdict": "accept", **ANN})
    second = web.post(REVIEWS, json={"verdict": "reject", **ANN}).json()

    gone = web.request("DELETE", f"{REVIEWS}/{second['id']}", json=ANN)
    assert (gone.status_code, gone.content) == (204, b"")
    assert findings(web)[0]["review"]["verdict"] == "accept"
    history = web.get(REVIEWS).json()["reviews"]
    assert [each["verdict"] for each in history] == ["accept", "reject", "undo"]
    assert history[2]["undoes"] == second["id"]


def test_undo_takes_the_name_from_the_query_too_and_works_once(web, study):
    review = web.post(REVIEWS, json={"verdict": "accept", **ANN}).json()["id"]
    headers = {"Content-Type": "application/json"}
    path = f"{REVIEWS}/{review}?reviewer=Reader^Ann"
    assert web.delete(path, headers=headers).status_code == 204
    assert findings(web)[0]["review"] is None
    assert web.delete(path, headers=headers).status_code == 404


def test_a_correction_says_what_is_different_and_keeps_the_codes(web, study):
    corrected = {
        "label": "Calcified granuloma",
        "measurements": [{"name": "diameter", "value": 7.5, "unit": "mm"}, {"name": "Area", "value": 40}],
        "region": {"sop_uid": SOP, "kind": "box", "points": [[9, 8], [3.5, 2]]},
    }
    answer = web.post(REVIEWS, json={"verdict": "correct", "corrected": corrected, **ANN})
    assert answer.status_code == 201, answer.text

    (finding,) = findings(web)
    told = finding["review"]["corrected"]
    assert (told["label"], told["code"]["scheme"]) == ("Calcified granuloma", "99ISOCENTER")
    assert [(m["name"], m["value"], m["code"]["value"]) for m in told["measurements"]] == [
        ("Diameter", 7.5, "81827009"),
        ("Area", 40.0, "42798000"),
    ]
    assert told["region"] == {"sop_uid": SOP, "frame": 1, "kind": "box", "points": [[3.5, 2.0], [9.0, 8.0]]}
    assert (finding["label"], finding["measurements"][0]["value"]) == ("Nodule", 6.1)


def test_a_person_adds_what_the_model_missed_and_takes_it_back(web, study):
    polygon = {"sop_uid": SOP, "frame": 1, "kind": "polygon", "points": [[1, 1], [4, 1], [4, 5], [1, 1]]}
    body = {
        "series_uid": SERIES,
        "label": "nodule",
        "region": polygon,
        "measurements": [{"name": "Long Axis", "value": 12, "unit": "mm"}],
        **ANN,
    }
    added = web.post(BASE, json=body)
    assert added.status_code == 201, added.text
    _, finding = findings(web)
    assert finding == added.json()
    assert (finding["model"], finding["result_uid"], finding["label"]) == (None, None, "Nodule")
    assert finding["code"]["value"] == "27925004"
    assert finding["region"]["points"] == [[1.0, 1.0], [4.0, 1.0], [4.0, 5.0]]
    assert (finding["review"]["verdict"], finding["review"]["by"]) == ("accept", "Reader^Ann")

    web.request("DELETE", f"{BASE}/{finding['id']}/reviews/{finding['review']['id']}", json=ANN)
    assert len(findings(web)) == 1


BAD = {
    "no verdict": ({}, "verdict"),
    "unknown verdict": ({"verdict": "maybe"}, "verdict"),
    "unknown member": ({"verdict": "accept", "vote": 1}, "vote"),
    "nothing corrected": ({"verdict": "correct", "corrected": {}}, "corrected"),
    "correction of what is accepted": ({"verdict": "accept", "corrected": {"label": "x"}}, "corrected"),
    "image of another study": (
        {
            "verdict": "correct",
            "corrected": {"region": {"sop_uid": "1.2.9", "kind": "point", "points": [[1, 1]]}},
        },
        "1.2.9",
    ),
    "no such frame": (
        {
            "verdict": "correct",
            "corrected": {"region": {"sop_uid": SOP, "frame": 2, "kind": "point", "points": [[1, 1]]}},
        },
        "frame 2",
    ),
    "half a box": (
        {"verdict": "correct", "corrected": {"region": {"sop_uid": SOP, "kind": "box", "points": [[1, 1]]}}},
        "box",
    ),
    "no unit": (
        {
            "verdict": "correct",
            "corrected": {"measurements": [{"name": "Diameter", "value": 1, "unit": "m m"}]},
        },
        "unit",
    ),
    "a name no person has": ({"verdict": "accept", "reviewer": {"name": "a\\b"}}, "name"),
    "zero byte": ({"verdict": "accept", "comment": "a\0b"}, "comment"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_review_is_refused_with_what_is_wrong_in_it(unjudged, case):
    body, named = BAD[case]
    answer = unjudged.post(REVIEWS, json=ANN | body)
    assert answer.status_code == 400, answer.text
    assert named in answer.json()["detail"]
    assert findings(unjudged)[0]["review"] is None


def test_numbers_that_are_none_are_refused(unjudged):
    body = '{"verdict": "correct", "corrected": {"measurements": [{"name": "x", "value": NaN}]}}'
    answer = unjudged.post(REVIEWS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (f"/api/studies/{STUDY}/findings/1.9/reviews", "1.9"),
        (f"/api/studies/1.2.3/findings/{TRACKING}/reviews", "1.2.3"),
    ],
)
def test_what_is_not_there_is_a_404_that_names_it(unjudged, path, named):
    answer = unjudged.post(path, json={"verdict": "accept", **ANN})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert named in answer.json()["detail"]
    assert unjudged.get(path).status_code == 404


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_form_of_another_page_cannot_review(unjudged, media_type):
    body = json.dumps({"verdict": "accept", **ANN}).encode()
    headers = {"Content-Type": media_type} if media_type else {}
    for method, path in (("POST", REVIEWS), ("POST", BASE), ("DELETE", f"{REVIEWS}/1")):
        assert unjudged.request(method, path, content=body, headers=headers).status_code == 415
    assert findings(unjudged)[0]["review"] is None


def test_a_huge_body_is_refused_before_it_is_read(unjudged):
    body = (b" " * 65536 for _ in range(64))
    answer = unjudged.post(REVIEWS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_behind_a_proxy_reviews_are_in_the_name_of_who_is_logged_in(tmp_path):
    settings = load_settings(None, {}, {"data": tmp_path, "web.user_header": "X-Remote-User"})
    with open_services(settings) as services, web_of(services) as web:
        store_ct(services)
        services.findings.replace_report(REPORT, [nodule()])
        ann = {"X-Remote-User": "ann"}
        assert web.get("/api/me", headers=ann).json() == {"name": "ann", "fixed": True}
        accept = {"verdict": "accept"}
        assert web.post(REVIEWS, json=accept).status_code == 401
        assert web.post(REVIEWS, json=accept | {"reviewer": {"name": "bob"}}, headers=ann).status_code == 403
        assert web.post(REVIEWS, json=accept, headers=ann).json()["by"] == "ann"
        named = {"reviewer": {"name": "Reader^Ann", "id": "ann"}}
        assert web.post(REVIEWS, json=accept | named, headers=ann).json()["by"] == "Reader^Ann"


def test_without_a_proxy_a_review_without_a_name_is_refused(web, study):
    assert web.get("/api/me").json() == {"name": None, "fixed": False}
    answer = web.post(REVIEWS, json={"verdict": "accept"})
    assert answer.status_code == 400
    assert "reviewer" in answer.json()["detail"]


def test_every_error_of_reviews_has_a_status():
    assert set(STATUS) == set(ReviewError.__subclasses__())
